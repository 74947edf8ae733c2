"""Losses by name: what `objective.loss` may be, and what `objective.settings` holds for one that is registered."""

from typing import Any

from ..errors import ConfigError, nearest
from ..messages import quoted
from ..plugins import hint
from ..schema import build

LOSSES: dict[str, type | None] = {"infonce": None, "sigmoid": None}
"""name -> dataclass of its settings, which is the loss; None for those of this package, which have none"""


def check_loss(name: str, settings: dict[str, Any], negatives: str) -> None:
    """ConfigError, before anything is built, for a loss that is not known, settings that it has not, and negatives of
    a kind that it cannot use."""
    if name not in LOSSES:
        close = nearest(name, LOSSES)
        known = f"did you mean {close!r}?" if close else "known are " + ", ".join(LOSSES)
        raise ConfigError(f"objective.loss is {quoted(name)}; {known}; {hint('loss')}")
    if negatives == "queue" and name != "infonce":
        raise ConfigError(
            f"objective.loss {name} compares the samples of a batch, and has no use for objective.negatives of kind "
            "queue; set loss: infonce, or negatives: batch"
        )
    made_loss(name, settings)


def made_loss(name: str, settings: dict[str, Any]) -> Any:
    """The registered loss of these settings; None for one of this package."""
    if LOSSES[name] is None:
        if settings:
            raise ConfigError(f"objective.settings has {', '.join(map(str, settings))}, but {name} has none; clear it")
        return None
    return build(LOSSES[name], settings, f"objective.loss {name}", "objective.settings")
