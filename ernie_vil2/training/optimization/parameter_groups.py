"""Which factor of the learning rate and which weight decay a parameter has, from its name alone."""

import re

from ...errors import ConfigError, nearest

BLOCKS = {
    "visual.": r"visual\.blocks\.(\d+)\.",
    "text_model.": r"text_model\.(?:encoder_stack\.block|encoder\.(?:\w+\.)*layers?)\.(\d+)\.",
}
ABOVE_BLOCKS = r"visual\.(norm_post|head_conv|head_norm|proj)\..*|text_model\.((encoder\.)?pooler|proj)\..*"


def matches(pattern, names, key):
    """The names that `pattern` fits as a whole; ConfigError, naming `key`, when there is none."""
    found = [name for name in names if re.fullmatch(pattern, name)]
    if not found:
        close = nearest(pattern.replace("\\", ""), names) or next(iter(names), "")
        raise ConfigError(
            f"{key}: no parameter fits {pattern!r}; the expression must fit a whole name such as {close!r}, "
            "and .* stands for any rest"
        )
    return found


def decayed(name, parameter):
    """Whether weight decay applies: to matrices and embeddings, never to bias, norm or temperature."""
    return parameter.ndim >= 2 and not name.endswith("bias")


def layer_factors(names, decay):
    """{name: factor}: 1 in and above the top block of each tower, times `decay` per block below it; embeddings and
    patches are one below the lowest block, temperatures have 1. As in BEiT (arXiv 2106.08254). ConfigError for a tower
    whose blocks are not numbered, as those of PaddleClas's backbones."""
    depths = {
        tower: 1 + max((int(found[1]) for name in names if (found := re.match(block, name))), default=-1)
        for tower, block in BLOCKS.items()
    }
    for tower, depth in depths.items():
        if decay != 1 and not depth and any(name.startswith(tower) for name in names):
            raise ConfigError(
                f"optimizer.layer_decay {decay} needs numbered blocks, which {tower}* has not; set it to 1 and give "
                "rates with optimizer.groups"
            )
    return {name: decay ** blocks_above(name, depths) for name in names}


def blocks_above(name, depths):
    """How many blocks of its tower come after a parameter."""
    tower = next((tower for tower in BLOCKS if name.startswith(tower)), None)
    if tower is None or re.fullmatch(ABOVE_BLOCKS, name):
        return 0
    found = re.match(BLOCKS[tower], name)
    return depths[tower] - 1 - int(found[1]) if found else depths[tower]


def parameter_options(names, config):
    """{name: (factor of the learning rate, weight decay)} for an OptimizerConfig; ConfigError for a rule without use.

    The first rule of `config.groups` that fits a name counts; its factor multiplies with that of the layer.
    """
    factors = layer_factors(names, config.layer_decay)
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
