"""A benchmark as its protocols: the one that is asked for is measured, or all that the files allow."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....data.sources.beside import IdFile
from ....errors import ConfigError, DataError, nearest
from ....files.digests import sha256_of
from ...encoding import Progress, takes_boxes
from ...runs.records import Outcome
from ..benchmark import Benchmark, Options, read_options
from ..benchmark_folder import MissingFile
from .outcome import outcome
from .pairs import Pairs

if TYPE_CHECKING:
    from ....inference.model import Model


@dataclass(frozen=True, kw_only=True)
class PairOptions(Options):
    """Options of a benchmark of images and texts. boxes: JSON lines {id, boxes}, for a model that takes boxes."""

    boxes: str = ""


@dataclass(frozen=True)
class Protocols:
    """name: `coco-cn`. protocols: of its usual `split`, the customary one first. read: the function that gives Pairs.

    read(data, protocol, split, allow_counts) raises MissingFile where the files for a protocol are not there; for
    another split than the usual one the protocol is None.
    """

    name: str
    protocols: tuple[str, ...]
    split: str
    read: Callable[..., Pairs]

    def benchmark(self) -> Benchmark:
        """What `registry` is told of it."""
        return Benchmark(self.evaluate, PairOptions, self.sets)

    def title(self, protocol: str | None, split: str) -> str:
        """Name of a result: with the protocol where there are several, with the split where it is not the usual one."""
        suffix = split if split != self.split else protocol if len(self.protocols) > 1 else ""
        return f"{self.name}@{suffix}" if suffix else self.name

    def sets(self, name: str, data: str | Path, split: str | None = None, allow_counts: bool = False) -> list[Pairs]:
        """Pairs of every protocol that `name` asks for, the bare name all that are there; ConfigError for others."""
        protocol, split = name.partition("@")[2], split or self.split
        if {split, self.split} == {"val", "valid"}:
            split = self.split
        if protocol and protocol not in self.protocols:
            close = nearest(protocol, self.protocols)
            hint = f"did you mean {close!r}?" if close else f"known are {', '.join(self.protocols)}"
            raise ConfigError(f"{self.name} has no protocol {protocol!r}; {hint}")
        if split != self.split:
            if protocol:
                raise ConfigError(
                    f"{name} is a protocol of the split {self.split}; name the benchmark {self.name} "
                    f"for --split {split}"
                )
            return [self.read(data, None, split, allow_counts)]
        found, lacking = [], []
        for wanted in [protocol] if protocol else self.protocols:
            try:
                found.append(self.read(data, wanted, split, allow_counts))
            except MissingFile as error:
                lacking.append((wanted, error))
        if not found:
            raise lacking[0][1]
        notes = tuple(f"{self.name}@{absent} is not measured: {error}" for absent, error in lacking)
        return [replace(found[0], notes=found[0].notes + notes), *found[1:]]

    def evaluate(
        self,
        model: "Model",
        name: str,
        data: str | Path,
        *,
        split: str | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> Outcome:
        """The Outcome of `sets`; options: those of the record `PairOptions`."""
        told = read_options(PairOptions, options, name)
        sets = self.sets(name, data, split, told.allow_counts)
        if told.boxes:
            file = IdFile(told.boxes, "boxes")
            sets = [with_boxes(part, file) for part in sets]
            if not takes_boxes(model):  # last, since it is loaded when it is first asked something
                raise ConfigError(f"{told.boxes}: the model takes no boxes; leave --boxes out")
        return outcome(model, sets, progress)


def with_boxes(pairs: Pairs, file: IdFile) -> Pairs:
    """Pairs whose images take the boxes that a file has for their ids; others keep theirs. Raises DataError for a bad
    row, and where the file knows no image of the benchmark."""
    found = [file.get(key) for key in pairs.image_ids]
    if all(boxes is None for boxes in found):
        raise DataError(
            f"{file.path}: has none of the images of {pairs.name}; name them by their ids, such as "
            f"{pairs.image_ids[0]!r}"
        )
    own = pairs.boxes or (None,) * len(found)
    boxes = tuple(
        mine if given is None else np.array(given, np.float32).reshape(-1, 4)
        for mine, given in zip(own, found, strict=True)
    )
    return replace(pairs, boxes=boxes, files={**pairs.files, file.path.name: sha256_of(file.path)})
