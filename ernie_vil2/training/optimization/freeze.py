"""Parameters that do not learn, for a time or for the whole run: LiT (arXiv 2111.07991), Chinese-CLIP's two stages."""

from collections.abc import Sequence

from paddle import nn

from ...config.optimizer import FreezeRule
from ...config.run import LoraConfig
from ...config.towers import SIDES
from ...errors import ConfigError
from ...models.lora import lora_parameters
from ...systems.system import System
from .parameter_groups import matches


class Freezer:
    """Freezes what the entries of `config.freeze` name; only what could learn when this was made is ever freed again.

    So low-rank updates are added before. Raises ConfigError when an entry fits no parameter.
    """

    def __init__(self, model: nn.Layer, rules: Sequence[FreezeRule]) -> None:
        self.named = named = dict(model.named_parameters())
        self.learning = {name for name, parameter in named.items() if not parameter.stop_gradient}
        self.rules = [(set(matches(rule.match, list(named), "optimizer.freeze")), rule.until) for rule in rules]

    def learning_ever(self) -> list[str]:
        """Names of the parameters that learn at some step, in the model's order."""
        never = set().union(*(names for names, until in self.rules if until is None))
        return [name for name in self.named if name in self.learning - never]

    def apply(self, step: int) -> bool:
        """Freeze and free parameters for 0-based `step`; True when one of them changed. Call it before the step."""
        resting = set().union(*(names for names, until in self.rules if until is None or step < until))
        changed = False
        for name, parameter in self.named.items():
            if name in self.learning and parameter.stop_gradient != (name in resting):
                parameter.stop_gradient = name in resting
                parameter.grad = None
                changed = True
        return changed


def check_locked(model: nn.Layer, freezer: Freezer) -> None:
    """ConfigError where a parameter of the image tower learns at some step."""
    learning = learning_of_tower(model, freezer)
    if learning:
        raise ConfigError(
            f"data.cache_locked keeps embeddings of an image tower that is locked as a whole, but {learning[0]} and "
            f"{len(learning) - 1} more of its parameters learn; set optimizer.freeze: [{{match: 'visual\\..*'}}], or "
            "cache_locked: false"
        )


def learning_of_tower(model: nn.Layer, freezer: Freezer) -> list[str]:
    """Names of the parameters of the image tower that learn at some step."""
    own = set(map(id, model.visual.parameters()))
    return [name for name in freezer.learning_ever() if id(freezer.named[name]) in own]


def freeze_adapted(system: System, config: LoraConfig, taken: bool = True) -> None:
    """Freeze what a system names in the adapted towers beside their low-rank updates: layers of its own too where they
    were taken from a model, else they start at random and learn; but none that a tower without updates shares."""
    towers = system.towers()
    adapted = [name for name in config.towers if config.rank and name in towers]
    kept = set(map(id, lora_parameters(system.model).values()))
    kept.update(id(value) for name in towers if name not in adapted for value in towers[name].parameters())
    if not taken:
        sides = tuple(SIDES.values())
        kept.update(id(value) for name, value in system.model.named_parameters() if not name.startswith(sides))
    for name in adapted:
        for parameter in towers[name].parameters():
            if id(parameter) not in kept:
                parameter.stop_gradient = True
