"""A benchmark as its protocols: the one that is asked for is measured, or all that the files allow."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....errors import ConfigError, nearest
from ...encoding import Progress
from ...runs.records import Outcome
from ..benchmark import Benchmark, Options, read_options
from ..benchmark_folder import MissingFile
from .outcome import outcome
from .pairs import Pairs

if TYPE_CHECKING:
    from ....inference.model import Model


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
        return Benchmark(self.evaluate, Options, self.sets)

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
        """The Outcome of `sets`; options: those of the record `Options`."""
        allow = read_options(Options, options, name).allow_counts
        return outcome(model, self.sets(name, data, split, allow), progress)
