"""The sides of the comparison: what encodes, at which precision, and what it is compared with."""

from collections.abc import Iterable
from dataclasses import dataclass

from ....errors import ConfigError, nearest
from ....inference.engines.choice import DYNAMIC as PADDLE
from ....inference.engines.choice import ENGINES
from ....messages import quoted

RELEASE, DYNAMIC = "release", "dynamic"
TORCH = ("fp32", "bf16")
"""Precisions of torch's sides"""


@dataclass(frozen=True)
class Side:
    """A side. serves: what encodes in its process; engine: of `load`, "" for others."""

    name: str
    serves: str
    precision: str = "fp32"
    engine: str = ""

    @property
    def rival(self) -> str:
        """The side of torch whose precision is the same, or the next finer one that torch has."""
        return torch_name(self.precision if self.precision in TORCH else TORCH[-1])


def torch_name(precision: str) -> str:
    """The name of torch's side of a precision."""
    return f"torch-{precision}"


SIDES = {
    side.name: side
    for side in (
        Side(RELEASE, "release"),
        Side(DYNAMIC, "project", engine=PADDLE),
        *(
            Side(f"{engine}-{precision}", "project", precision, engine)
            for engine, precisions in reversed(ENGINES.items())
            if engine != PADDLE
            for precision in precisions
        ),
        *(Side(torch_name(precision), "torch", precision) for precision in TORCH),
    )
}


def chosen(names: Iterable[str] | None) -> list[Side]:
    """The sides of these names in the order of SIDES, all where it is None; dynamic mode, whose output every other one
    is compared with, always among them. Raises ConfigError for a name that is none."""
    wanted = set(SIDES if names is None else names)
    for name in sorted(wanted - set(SIDES)):
        hint = nearest(name, SIDES)
        raise ConfigError(
            f"{quoted(name)} is no side of the comparison; "
            + (f"did you mean {hint}?" if hint else f"there are {', '.join(SIDES)}")
        )
    return [side for name, side in SIDES.items() if name in wanted | {DYNAMIC}]
