"""Weights between those of two models of one shape, as WiSE-FT (arXiv 2109.01903): robust as the first, tuned as the
second."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import CheckpointError, ConfigError
from .store import open_model, save_model
from .tensor_file import Spec, spec_of

TRAINING_ONLY = ("dropout", "drop_path", "patch_dropout")


class Between(Mapping):
    """{key: (1 - share) * first + share * second} in float32; a tensor is computed when it is asked for."""

    def __init__(self, first, second, share):
        self.first, self.second, self.share = first, second, share
        self.keys_of_both = [key for key in first if key in second]

    def __len__(self):
        return len(self.keys_of_both)

    def __iter__(self):
        return iter(self.keys_of_both)

    def spec(self, key):
        """Type and shape of a tensor."""
        return Spec("float32", spec_of(self.first, key).shape)

    def __getitem__(self, key):
        first, second = (np.asarray(state[key], np.float64) for state in (self.first, self.second))
        return ((1 - self.share) * first + self.share * second).astype(np.float32)


def interpolate(first, second, target, share=0.5):
    """Write the model directory `target` with weights (1 - share) * first + share * second, in float32.

    first, second: model directories, or `.pdparams` beside a vocab.txt; for WiSE-FT the model before and the one after
    fine-tuning. Configuration and vocabulary of the second are kept. Raises ConfigError for a share outside [0, 1] and
    for models of different sizes, arithmetic or vocabularies, before anything is written.
    """
    if not 0 <= share <= 1:
        raise ConfigError(f"the share is {share:g} but must be in [0, 1]: 0 gives the first model, 1 the second")
    target = Path(target)
    if any(target.resolve() == Path(path).resolve() for path in (first, second)):
        raise CheckpointError(f"{target} is one of the two models; choose another place for the result")
    states, configs, vocabs = zip(*(open_model(path) for path in (first, second)), strict=True)
    different = differences(*configs)
    if words(vocabs[0]) != words(vocabs[1]):
        different.append("the vocabularies")
    if different:
        raise ConfigError(
            f"{first} and {second} differ in {', '.join(different)}, so there is nothing between them; "
            "give a model and its own fine-tuned descendant"
        )
    extra = {"between": [str(first), str(second)], "share": share}
    save_model(target, Between(*states, share), configs[1], vocabs[1], extra=extra)


def differences(first, second):
    """What two ModelConfigs disagree on, as `key (there and here)`; rates that act in training only do not count."""
    found = []
    one, two = flat(first.to_dict()), flat(second.to_dict())
    for key in one:
        if key.rsplit(".", 1)[-1] not in TRAINING_ONLY and one[key] != two[key]:
            found.append(f"{key} ({one[key]} and {two[key]})")
    return found


def flat(mapping, prefix=""):
    """Nested dictionaries as {"a.b": value}."""
    found = {}
    for key, value in mapping.items():
        found.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return found


def words(vocab):
    """Tokens of a vocabulary file in order of their lines, whatever its line ends."""
    return Path(vocab).read_bytes().split()
