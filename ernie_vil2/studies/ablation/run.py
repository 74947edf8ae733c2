"""The ablation of views: the same training with other pairs of views and seeds."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ...errors import ConfigError
from ..runs.run import EVALUATION, TEST_IMAGES, Run, Study
from .comparison import COMMAND, NAMES


class AblationRun(Run):
    """One configuration with one seed, measured on clean captions of the unseen split."""

    study = Study(COMMAND, "the ablation", "ablation.json")

    def evaluation(self) -> list[str]:
        source = unseen(self.config()["data"]["valid"], self.images)
        places = ["--input", source, "--json", str(self.folder / EVALUATION)]
        return ["eval", "--model", str(self.model), "--protocol", "standard", *places]

    def metrics(self, report: dict[str, Any]) -> dict[str, Any]:
        return report["protocols"]["standard"]


def unseen(valid: object, images: int) -> str:
    """The unseen split, drawn like the validation source, as an argument; ConfigError unless that is drawn scenes."""
    if not isinstance(valid, dict) or valid.get("kind") != "scenes":
        raise ConfigError(f"data.valid is {valid!r}, but the ablation needs {{kind: scenes, ...}} and its unseen split")
    options = {key: value for key, value in valid.items() if key not in ("kind", "split", "size")}
    languages = options.pop("languages", ["zh"])
    if len(languages) > 1 and not isinstance(languages, str):
        raise ConfigError(f"data.valid: languages {languages!r}; the ablation measures one language, keep one")
    options["languages"] = languages if isinstance(languages, str) else languages[0]
    return f"scenes:split=test,size={images}," + ",".join(f"{key}={value}" for key, value in options.items())


def plan(
    folder: str | Path,
    output: str | Path,
    seeds: Iterable[int],
    only: Sequence[str] = (),
    overrides: Sequence[str] = (),
    images: int = TEST_IMAGES,
) -> list[AblationRun]:
    """The runs, seed by seed, so that an interrupted ablation has compared all configurations on the first seeds."""
    for name in only:
        if name not in NAMES:
            raise ConfigError(f"--only {name}: the configurations are {', '.join(NAMES)}")
    runs = []
    for seed in dict.fromkeys(seeds):
        for name in only or NAMES:
            place = Path(output) / f"{name}-seed{seed}"
            fixed = [*overrides, f"seed={seed}", f"output={json.dumps(str(place))}"]
            runs.append(AblationRun(name, seed, Path(folder) / f"{name}.yaml", place, fixed, images))
    return runs
