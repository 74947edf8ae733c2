"""The targets by name."""

from ..errors import ConfigError, nearest
from ..messages import brief, quoted
from .graph_targets import OnnxTarget, OpenVinoTarget, PaddleTarget
from .target import Target
from .transformers_form.target import TransformersTarget

TARGETS: dict[str, Target] = {
    target.name: target for target in (PaddleTarget(), OnnxTarget(), OpenVinoTarget(), TransformersTarget())
}
"""{what `--to` is given: Target}"""


def target_of(name: str) -> Target:
    """The Target of a name; ConfigError that names the nearest where there is none."""
    if name not in TARGETS:
        meant = nearest(name, TARGETS)
        hint = f"did you mean {meant}?" if meant else f"give one of {', '.join(TARGETS)}"
        raise ConfigError(brief(f"--to is {quoted(name)}, which is no target; {hint}"))
    return TARGETS[name]
