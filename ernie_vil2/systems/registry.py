"""Systems by name: the modules of this folder, and classes that somebody else defined."""

import importlib
import pkgutil
from pathlib import Path

from ..errors import ConfigError, nearest
from ..plugins import hint as of_your_own
from ..plugins import remember, same_class

REGISTERED: dict[str, type] = {}
"""{kind: class} of every System that is defined in this process"""
NO_SYSTEMS = ("build", "registry", "system")


def known_systems() -> list[str]:
    """Names that `model.system` may have, without importing anything."""
    modules = (module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return sorted({*REGISTERED, *(name for name in modules if name not in NO_SYSTEMS)})


def register(kind: str, system: type) -> None:
    """Make a class known by its `kind`; ConfigError for what is no name, and one that another class has. A class that
    is defined anew, as in a notebook, takes its own place."""
    if not (isinstance(kind, str) and kind):
        raise ConfigError(f"the system {system.__name__}: kind is a text that is not empty, not {kind!r}; correct it")
    own, other = f"{__package__}.{kind}", REGISTERED.get(kind)
    taken = other is not None and not same_class(other, system)
    if taken or (kind in known_systems() and other is None and system.__module__ != own):
        raise ConfigError(f"the system {system.__name__}: there is a system {kind} already; give it another kind")
    REGISTERED[kind] = system
    remember("system", kind, system)


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
