"""Systems by name: the modules of this folder, and classes that somebody else defined."""

import importlib
import pkgutil
from pathlib import Path

from ..errors import ConfigError, nearest
from ..plugins import hint as of_your_own

REGISTERED: dict[str, type] = {}
"""{kind: class} of every System that is defined in this process"""
NO_SYSTEMS = ("build", "registry", "system")


def known_systems() -> list[str]:
    """Names that `model.system` may have, without importing anything."""
    modules = (module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return sorted({*REGISTERED, *(name for name in modules if name not in NO_SYSTEMS)})


def check_system(kind: str) -> None:
    """ConfigError, naming the nearest, for a system that is not known here."""
    if kind not in known_systems():
        close = nearest(kind, known_systems())
        hint = f"did you mean {close!r}?" if close else "known are " + ", ".join(known_systems())
        raise ConfigError(f"model.system is {kind!r}; {hint}; {of_your_own('system')}")


def system_class(kind: str) -> type:
    """The class of a system; ConfigError when there is none."""
    check_system(kind)
    if kind not in REGISTERED:
        importlib.import_module(f".{kind}", __package__)
    return REGISTERED[kind]
