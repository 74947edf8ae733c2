"""Which factor of the learning rate and which weight decay a parameter has, from its name alone."""

import re
from collections.abc import Collection, Mapping, Sequence

import paddle

from ...config.optimizer import OptimizerConfig
from ...config.towers import KINDS, SIDES, TowerKind
from ...errors import ConfigError, nearest


def matches(pattern: str, names: Sequence[str], key: str) -> list[str]:
    """The names that `pattern` fits as a whole; ConfigError, naming `key`, when there is none."""
    found = [name for name in names if re.fullmatch(pattern, name)]
    if not found:
        close = nearest(pattern.replace("\\", ""), names) or next(iter(names), "")
        raise ConfigError(
            f"{key}: no parameter fits {pattern!r}; the expression must fit a whole name such as {close!r}, "
            "and .* stands for any rest"
        )
    return found


def decayed(name: str, parameter: paddle.Tensor) -> bool:
    """Whether weight decay applies: to matrices and embeddings, never to bias, norm or temperature."""
    return parameter.ndim >= 2 and not name.endswith("bias")


def block_number(name: str, kinds: Collection[TowerKind]) -> int | None:
    """The number of the block that a parameter of a tower is in; None outside of numbered blocks."""
    return next((int(found[1]) for kind in kinds if (found := kind.block(name))), None)


def layer_factors(
    names: Sequence[str], decay: float, kinds: Collection[TowerKind] = tuple(KINDS.values())
) -> dict[str, float]:
    """{name: factor}: 1 in and above the top block of each tower, times `decay` per block below it; embeddings and
    patches are one below the lowest block, temperatures have 1. As in BEiT (arXiv 2106.08254). kinds: of the model's
    towers, by default those of this package. ConfigError for a tower whose blocks are not numbered, as those of
    PaddleClas's backbones."""
    depths = {}
    for tower in SIDES.values():
        found = [block_number(name, kinds) for name in names if name.startswith(tower)]
        depths[tower] = 1 + max((number for number in found if number is not None), default=-1)
    for tower, depth in depths.items():
        if decay != 1 and not depth and any(name.startswith(tower) for name in names):
            raise ConfigError(
                f"optimizer.layer_decay {decay} needs numbered blocks, which {tower}* has not; set it to 1 and give "
                "rates with optimizer.groups"
            )
    return {name: decay ** blocks_above(name, depths, kinds) for name in names}


def blocks_above(name: str, depths: Mapping[str, int], kinds: Collection[TowerKind]) -> int:
    """How many blocks of its tower come after a parameter; depths: {prefix of a tower: its blocks}."""
    tower = next((prefix for prefix in depths if name.startswith(prefix)), None)
    if tower is None or any(kind.is_above_blocks(name) for kind in kinds):
        return 0
    number = block_number(name, kinds)
    return depths[tower] if number is None else depths[tower] - 1 - number


def parameter_options(
    names: Sequence[str], config: OptimizerConfig, kinds: Collection[TowerKind] = tuple(KINDS.values())
) -> dict[str, tuple[float, float]]:
    """{name: (factor of the learning rate, weight decay)} for an OptimizerConfig; ConfigError for a rule without use.

    kinds: as for `layer_factors`.
    The first rule of `config.groups` that fits a name counts; its factor multiplies with that of the layer.
    """
    factors = layer_factors(names, config.layer_decay, kinds)
    options = {name: (factors[name], config.weight_decay) for name in names}
    left = set(names)
    for rule in config.groups:
        found = matches(rule.match, names, "optimizer.groups")
        fresh = [name for name in found if name in left]
        if not fresh:
            raise ConfigError(
                f"optimizer.groups: an earlier entry takes every parameter that fits {rule.match!r}; put it first"
            )
        for name in fresh:
            decay = config.weight_decay if rule.weight_decay is None else rule.weight_decay
            options[name] = (factors[name] * rule.lr, decay)
        left.difference_update(fresh)
    return options
