"""Weights between those of two models of one shape, as WiSE-FT (arXiv 2109.01903): robust as the first, tuned as the
second."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..config.model import ModelConfig
from ..errors import CheckpointError, ConfigError
from ..files.json_files import SETTINGS_BYTES, read_json
from ..files.text import read_text
from .formats.lazy_tensors import FLOATS, Spec, spec_of
from .model_directory import CONFIG, ENGINES, VOCAB, WEIGHTS, open_model, save_model
from .release_layout import UNUSED
from .released_vocabulary import VOCAB_BYTES

TRAINING_ONLY = ("dropout", "drop_path", "patch_dropout", "batch_norm", "norm_momentum", "norm_variance")
"""Last parts of the keys that change no inference"""
SHOWN = 3
"""Differences that an error names."""


class Between(Mapping):
    """{key: (1 - share) * first + share * second} in float32; a tensor is computed when it is asked for.

    What no model reads, or counts, has nothing between: it is the second's, as it is stored.
    """

    def __init__(self, first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray], share: float) -> None:
        self.first, self.second, self.share = first, second, share
        self.keys_of_both = [key for key in first if key in second]

    def __len__(self):
        return len(self.keys_of_both)

    def __iter__(self):
        return iter(self.keys_of_both)

    def is_copied(self, key: str) -> bool:
        """Whether a tensor is the second's."""
        return key.startswith(UNUSED) or spec_of(self.second, key).dtype not in FLOATS

    def spec(self, key: str) -> Spec:
        """Type and shape of a tensor."""
        found = spec_of(self.second, key)
        return found if self.is_copied(key) else Spec("float32", found.shape)

    def __getitem__(self, key):
        if self.is_copied(key):
            return self.second[key]
        first, second = (np.asarray(state[key], np.float64) for state in (self.first, self.second))
        return ((1 - self.share) * first + self.share * second).astype(np.float32)


def interpolate(
    first: str | os.PathLike,
    second: str | os.PathLike,
    target: str | os.PathLike,
    share: float = 0.5,
    replace: bool = False,
) -> None:
    """Write the model directory `target` with weights (1 - share) * first + share * second, in float32.

    first, second: model directories, or `.pdparams` beside a vocab.txt; for WiSE-FT the model before and the one after
    fine-tuning; one of them may be the target with `replace`. Configuration and vocabulary of the second are kept.
    Raises ConfigError for a share outside [0, 1] and for models of different sizes, arithmetic or vocabularies, before
    anything is written.
    """
    if not 0 <= share <= 1:
        raise ConfigError(f"the share is {share:g} but must be in [0, 1]: 0 gives the first model, 1 the second")
    target = Path(target)
    if not replace and os.path.realpath(target) in map(os.path.realpath, (first, second)):
        raise CheckpointError(f"{target} is one of the two models; choose another place for the result")
    states, configs, vocabs = zip(*(open_model(path) for path in (first, second)), strict=True)
    different = differences(*configs)
    if None not in vocabs and words(vocabs[0]) != words(vocabs[1]):
        different.append("the vocabularies")
    if different:
        more = f" and {len(different) - SHOWN} more" if len(different) > SHOWN else ""
        raise ConfigError(
            f"{first} and {second} differ in {', '.join(different[:SHOWN])}{more}, so there is nothing between them; "
            "give a model and its own fine-tuned descendant"
        )
    extra = {"between": [str(first), str(second)], "share": share}
    save_model(target, Between(*states, share), configs[1], vocabs[1], extra=extra)


def is_between(folder: Path) -> bool:
    """Whether a folder is a model directory that `interpolate` wrote, with nothing else in it but engines."""
    try:
        content = read_json(folder / CONFIG, most=SETTINGS_BYTES)
        return "between" in content["extra"] and set(os.listdir(folder)) <= {CONFIG, WEIGHTS, VOCAB, ENGINES}
    except (OSError, ValueError, KeyError, TypeError):
        return False


def differences(first: ModelConfig, second: ModelConfig) -> list[str]:
    """What two ModelConfigs disagree on, as `key (there and here)`; rates that act in training only do not count.

    Where one has a tower that the other lacks, or a tower is of another kind, that is all there is to say of it.
    """
    towers = [config.towers() for config in (first, second)]
    if set(towers[0]) != set(towers[1]):
        return [f"their towers ({' + '.join(towers[0])}, against {' + '.join(towers[1])})"]
    one, two = flat(first.to_dict()), flat(second.to_dict())
    found, other_kinds = [], ()
    for name, tower in towers[0].items():
        other = towers[1][name]
        if tower.kind != other.kind:
            found.append(f"{name}_tower.kind ({tower.kind} and {other.kind})")
            other_kinds += (f"{name}_tower.",)
    for key in dict.fromkeys([*one, *two]):
        if not key.startswith(other_kinds) and key.rsplit(".", 1)[-1] not in TRAINING_ONLY:
            if one.get(key) != two.get(key):
                found.append(f"{key} ({one.get(key)} and {two.get(key)})")
    return found


def flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as {"a.b": value}."""
    found = {}
    for key, value in mapping.items():
        found.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return found


def words(vocab: str | os.PathLike) -> list[str]:
    """Tokens of a vocabulary file in order of their lines, whatever its line ends."""
    return read_text(vocab, VOCAB_BYTES).split()
