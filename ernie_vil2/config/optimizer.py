"""Configuration of the optimizer: AdamW, its schedule, and rules on names of parameters."""

import typing
from dataclasses import dataclass

from ..errors import ConfigError
from ..messages import quoted
from ..schema import build, document
from .patterns import pattern_error

MAX_STEPS = 10**9
MAX_DECAY = 0.999999
"""Of an average: float32 rounds more of it to 1, and then its correction divides by 0"""


@dataclass
class GroupRule:
    """An entry of optimizer.groups."""

    match: str = document("", "regular expression that a whole parameter name fits")
    lr: float = document(1.0, "factor of the learning rate, on top of layer_decay", positive=True, maximum=1000.0)
    weight_decay: float | None = document(None, "instead of optimizer.weight_decay", minimum=0, maximum=1000.0)


@dataclass
class FreezeRule:
    """An entry of optimizer.freeze."""

    match: str = document("", "regular expression that a whole parameter name fits")
    until: int | None = document(None, "step at which it begins to learn; null: never", minimum=1, maximum=MAX_STEPS)


@dataclass
class OptimizerConfig:
    """AdamW with a warm-up, then a cosine, a line or a constant."""

    lr: float = document(3e-5, "peak learning rate", positive=True, maximum=1.0)
    final_lr: float = document(0.0, "learning rate at the last step", minimum=0, maximum=1.0)
    warmup: int = document(100, "steps of linear warm-up", minimum=0, maximum=MAX_STEPS)
    weight_decay: float = document(0.01, "on matrices; never on bias, norm or temperature", minimum=0, maximum=1000.0)
    beta1: float = document(0.9, "decay of the first moment", fraction=True, maximum=MAX_DECAY)
    beta2: float = document(0.997, "decay of the second moment", fraction=True, maximum=MAX_DECAY)
    epsilon: float = document(1e-9, "of AdamW", minimum=1e-20, maximum=1.0)
    clip: float = document(1.0, "largest global norm of the gradient; 0 for no clipping", minimum=0, maximum=1e6)
    schedule: str = document(
        "cosine", "from the peak to final_lr: cosine, linear, or constant", choices=("cosine", "linear", "constant")
    )
    layer_decay: float = document(
        1.0,
        "factor of the learning rate per block below the top one; 1 for the same rate everywhere",
        positive=True,
        maximum=1.0,
    )
    groups: list[typing.Any] = document(
        list, "list of {match: expression on whole parameter names, lr: factor, weight_decay: value}; first match wins"
    )
    freeze: list[typing.Any] = document(
        list, "list of {match: expression on whole parameter names, until: step}; without until for the whole run"
    )

    def __post_init__(self):
        for name, kind in (("groups", GroupRule), ("freeze", FreezeRule)):
            place = f"optimizer.{name}"
            rules = [build(kind, rule, place, f"[{at}]") for at, rule in enumerate(getattr(self, name))]
            for at, rule in enumerate(rules):
                if wrong := pattern_error(rule.match):
                    raise ConfigError(f"{place}: [{at}].match is {quoted(rule.match)} but must be {wrong}")
            setattr(self, name, rules)
        self.check_steps("optimizer", self.lr, self.weight_decay)
        for at, rule in enumerate(self.groups):
            decay = self.weight_decay if rule.weight_decay is None else rule.weight_decay
            self.check_steps(f"optimizer.groups[{at}]", self.lr * rule.lr, decay)
            if self.lr * rule.lr > max(self.lr, 1):
                raise ConfigError(f"optimizer.groups[{at}].lr makes a learning rate of {self.lr * rule.lr:g}; lower it")

    @property
    def names_parameters(self) -> bool:
        """Whether anything here depends on the names of the model's parameters."""
        return bool(self.groups or self.freeze or self.layer_decay != 1)

    @staticmethod
    def check_steps(place: str, lr: float, weight_decay: float) -> None:
        """ConfigError where a step takes more off the weights than there is, so that they grow without end."""
        if lr * weight_decay > 1:
            raise ConfigError(
                f"{place}: weight_decay {weight_decay:g} at the learning rate {lr:g} takes more off the weights than "
                "there is; lower one of them"
            )
