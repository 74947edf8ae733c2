"""Modules of a user's own, imported because the user names them: what they define is registered as they are imported.

Names are dotted Python identifiers, never paths, and come from a command line or a program alone: no configuration,
checkpoint or environment makes anything be imported.
"""

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from .errors import ConfigError
from .messages import brief, quoted

PACKAGE = __package__
MOST_LETTERS = 200
ORIGINS: dict[tuple[str, str], str] = {}
"""(tower | loss | source | system, its name) -> the module that brought it"""


class FolderFinder:
    """Finds named modules in one folder, before any other place, and nothing else there: a file of that folder which
    happens to be called as a library is would otherwise be imported in its place."""

    def __init__(self, folder: str, names: Iterable[str]) -> None:
        self.folder, self.names = folder, set(names)

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """The module of a name that is whole and known here, or None."""
        return PathFinder.find_spec(name, [self.folder]) if name in self.names else None


class Carried:
    """What a process that is started afresh needs to find the modules when it unpickles what is theirs."""

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        finders = [item for item in sys.meta_path if isinstance(item, FolderFinder)]
        return restored, ([(item.folder, sorted(item.names)) for item in finders],)


def restored(found: list[tuple[str, list[str]]]) -> Carried:
    """Let the modules that another process found be found here; they are imported when they are needed."""
    for folder, names in reversed(found):
        find_in(folder, names)
    return Carried()


def find_in(folder: str, names: Iterable[str]) -> None:
    """From now on, look for these modules in a folder first."""
    sys.meta_path.insert(0, FolderFinder(folder, names))


def load_plugins(names: Iterable[str]) -> None:
    """Import modules by their dotted names, from the current folder or else as they are installed, in this order.

    Raises ConfigError, in one sentence, for what is no such name, is not found, or fails as it is imported.
    """
    for name in names:
        if len(name) > MOST_LETTERS or not all(part.isidentifier() for part in name.split(".")):
            raise ConfigError(
                f"--plugin {quoted(name)} is not the name of a Python module; give a name such as my_module or "
                "my_package.towers, without a path and without .py"
            )
        load_plugin(name)


def load_plugin(name: str) -> None:
    """Import one module whose name is right."""
    if name in sys.modules:
        return
    top, folder = name.partition(".")[0], os.getcwd()
    if top not in sys.modules and top != PACKAGE and is_of_folder(top, folder):
        if top in sys.stdlib_module_names:
            raise ConfigError(f"--plugin {name} has the name of a module of Python itself; rename {top}.py")
        find_in(folder, [top])
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise failed(name, error) from error
        raise ConfigError(
            f"--plugin {name}: there is no module {error.name} in {folder} or installed; give the command in the "
            "folder that has it, or install it"
        ) from None
    except ConfigError as error:
        raise ConfigError(f"--plugin {name}: {error}") from error
    except (Exception, SystemExit) as error:
        raise failed(name, error) from error
    if is_bare(sys.modules[name].__spec__):
        raise ConfigError(f"--plugin {name} is a folder without __init__.py, which brings nothing; name a file in it")


def is_of_folder(top: str, folder: str) -> bool:
    """Whether a folder has a module or package of this name; a bare folder of it stands behind what is installed."""
    found = PathFinder.find_spec(top, [folder])
    return found is not None and (not is_bare(found) or importlib.util.find_spec(top) is None)


def is_bare(spec: ModuleSpec | None) -> bool:
    """Whether a module is a folder without a file of its own, which Python imports as an empty package."""
    return spec is not None and spec.origin is None and spec.submodule_search_locations is not None


def failed(name: str, error: BaseException) -> ConfigError:
    """The sentence on a module that did not come to its end."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if "importlib" not in str(path) and path != Path(__file__):
            place = f" at {path.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return ConfigError(f"--plugin {name} failed{place}: {type(error).__name__}: {quoted(str(error))}; correct it there")


def remember(what: str, name: str, owner: Any) -> None:
    """Keep which module brought a tower, loss, source or system: that of its class `owner`."""
    module = owner.__module__
    if module.partition(".")[0] != PACKAGE and module != "__main__":
        ORIGINS[what, name] = module


def origin(what: str, name: str) -> str | None:
    """The module that brought something, None for what is built in."""
    return ORIGINS.get((what, name))


def code_digest(what: str, name: str) -> str:
    """SHA-256 of the module that brought something, for what is kept of its results; "" for what is built in."""
    module = sys.modules.get(origin(what, name) or "")
    path = getattr(module, "__file__", None)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""


def made_with(extra: Any, key: str) -> str:
    """The end of a sentence on a model of which something is not known: the modules that it was made with, under a key
    of what is kept with it, and that are not imported; "" where there are none."""
    named = extra.get(key) if isinstance(extra, dict) else None
    lacking = [name for name in named if name not in sys.modules] if is_names(named) else []
    told = brief(" ".join(f"--plugin {name}" for name in lacking), 200)
    return told and f"was made with {told}; give it again (in Python: ernie_vil2.load_plugins)"


def is_names(value: Any) -> bool:
    """Whether a value that a file holds is a list of texts."""
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def hint(what: str) -> str:
    """The clause that ends a message on an unknown name."""
    return f"a {what} of your own is known with --plugin MODULE (docs/extending.md)"
