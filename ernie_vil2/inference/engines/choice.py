"""Which engine runs a tower, in which precision, and why; what cannot be is told before anything is built."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...device import Device
from ...errors import ConfigError, nearest
from ...messages import brief, quoted
from ...versions import versions
from .processor import Processor, this_processor

AUTO, DYNAMIC, OPENVINO = "auto", "paddle", "openvino"
ENGINES = {
    DYNAMIC: ("fp32",),
    "paddle_inference": ("fp32", "bf16"),
    OPENVINO: ("fp32", "bf16", "int8"),
}
"""Engine -> precisions that it computes in"""
PRECISIONS = ENGINES[OPENVINO]
INSTALL = "install it with: pip install openvino"
PLURALS = {"image": "images", "text": "texts"}


@dataclass(frozen=True)
class Choice:
    """The engine of a tower and its precision; why: how it came to that, as words; version: of the engine's library."""

    engine: str
    precision: str
    why: str
    version: str | None


def choose(
    engine: str,
    precision: str,
    device: Device,
    *,
    quantised: bool = False,
    processor: Processor | None = None,
    installed: Mapping[str, str | None] | None = None,
) -> Choice:
    """The Choice for a tower on a device.

    engine: "auto" takes openvino on a CPU where it is installed, and paddle otherwise. quantised: whether the model has
    an int8 engine of that tower. processor: by default this one; installed: versions as `versions.versions` gives them.
    Raises ConfigError for a name that there is not, and for what the engine, the device or the processor cannot do.
    """
    _check_name("engine", engine, (AUTO, *ENGINES))
    _check_name("precision", precision, PRECISIONS)
    installed = versions() if installed is None else installed
    found, why = (engine, "as asked for") if engine != AUTO else _fastest(device, installed[OPENVINO])
    if found == OPENVINO and not device.is_cpu:
        raise ConfigError(
            f"the engine openvino computes on CPUs, and the device is {device.name}; give the engine paddle, or the "
            "device cpu"
        )
    if found == "paddle_inference" and device.kind not in ("cpu", "gpu"):
        raise ConfigError(
            f"the engine paddle_inference computes on CPUs and NVIDIA cards, and the device is {device.name}; give the "
            "engine paddle"
        )
    if found == OPENVINO and not installed[OPENVINO]:
        raise ConfigError(f"the engine openvino is not installed; {INSTALL}, or give the engine paddle")
    if precision not in ENGINES[found]:
        raise ConfigError(_lacking(found, precision, device, installed[OPENVINO]))
    if device.is_cpu and precision == "bf16" and not (processor := processor or this_processor()).bf16:
        raise ConfigError(
            f"the precision bf16 needs a processor with avx512_bf16 or amx_bf16, and this one has {processor.told}; "
            "give fp32, or int8 of a quantised model"
        )
    if precision == "int8" and not quantised:
        raise ConfigError(
            "the model has no engine of precision int8; quantize it first with ernie-vil2 quantize MODEL --calibrate "
            "SOURCE"
        )
    return Choice(found, precision, why, installed[OPENVINO if found == OPENVINO else "paddle"])


def beside_int8(processor: Processor | None = None) -> str:
    """The precision of what is not int8 in a quantised model: bf16 where the processor has it fast, else fp32."""
    return "bf16" if (processor or this_processor()).bf16 else "fp32"


def told(choices: Mapping[str, Choice]) -> str:
    """A line on the choices of a model's towers, {"image" or "text": Choice}: engines of one kind together."""
    parts: dict[tuple, list[str]] = {}
    for tower, choice in choices.items():
        parts.setdefault((choice.engine, choice.version, choice.why), []).append(
            f"{choice.precision} ({PLURALS[tower]})"
        )
    return "engine: " + "; ".join(
        " ".join(filter(None, (engine, version))) + f", {', '.join(towers)}, {why}"
        for (engine, version, why), towers in parts.items()
    )


def _check_name(kind: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        meant = nearest(given, known)
        hint = f"did you mean {meant}?" if meant else f"give {', '.join(known[:-1])} or {known[-1]}"
        raise ConfigError(brief(f"there is no {kind} {quoted(given)}; {hint}"))


def _fastest(device: Device, openvino: str | None) -> tuple[str, str]:
    """(engine, why) of "auto"."""
    if not device.is_cpu:
        return DYNAMIC, f"for the device is {device.name}"
    return (OPENVINO, "the fastest on a CPU") if openvino else (DYNAMIC, "for openvino is not installed")


def _lacking(engine: str, precision: str, device: Device, openvino: str | None) -> str:
    """Why an engine does not compute in a precision, and which one does on that device, as a sentence."""
    able = [name for name, those in ENGINES.items() if precision in those and (device.is_cpu or name != OPENVINO)]
    start = f"the engine {engine} computes in {' and '.join(ENGINES[engine])} alone, not in {precision}"
    if not able:
        return f"{start}, which no engine does on {device.name}; give {ENGINES[engine][-1]}, or the device cpu"
    first = f" (openvino is not installed; {INSTALL})" if OPENVINO in able and not openvino else ""
    return f"{start}; give {ENGINES[engine][0]}, or the engine {' or '.join(able)}{first}"
