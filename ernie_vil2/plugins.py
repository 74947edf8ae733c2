"""Modules of a user's own, imported because the user names them: what they define is registered as they are imported.

Names are dotted Python identifiers, never paths, and come from a command line or a program alone: no configuration,
checkpoint or environment makes anything be imported.
"""

import contextlib
import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from .errors import ConfigError
from .messages import quoted

PACKAGE, MAIN = __package__, "__main__"
MOST_LETTERS = 200
ORIGINS: dict[tuple[str, str], str] = {}
"""(tower | loss | source | system, its name) -> the module to name for it"""
CODE: dict[tuple[str, str], set[str]] = {}
"""The same -> the modules that its code is in"""
LOADING: list[str] = []
"""Modules whose import is under way, as they were named"""


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
    """Import one module whose name is right; ConfigError where it brings nothing that was not known."""
    top, folder = name.partition(".")[0], os.getcwd()
    there = found_in(folder, top) if top != PACKAGE else None
    if there is not None and top in sys.stdlib_module_names:
        raise ConfigError(f"--plugin {name} has the name of a module of Python itself; rename {top}.py")
    if there is not None and hidden(top, there):
        raise ConfigError(f"--plugin {name} has the name of a library that is imported already; rename {top}.py")
    if name in sys.modules and brings(name):
        return
    if there is not None and top not in sys.modules:
        find_in(folder, [top])
    before = dict(ORIGINS)
    LOADING.append(name)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what a command prints is for whoever reads its output
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
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit too, which would end a command as if it had done its work
        raise failed(name, error) from error
    finally:
        LOADING.pop()
    if before == ORIGINS and not brings(name):
        raise ConfigError(
            f"--plugin {name} registers no tower, loss, source or system that was not known before it; name the module "
            "that registers one, or leave it out"
        )


def found_in(folder: str, top: str) -> ModuleSpec | None:
    """The module or package of this name in a folder; a bare folder of it stands behind what is installed."""
    found = PathFinder.find_spec(top, [folder])
    bare = found is not None and found.origin is None
    return None if bare and importlib.util.find_spec(top) is not None else found


def hidden(top: str, there: ModuleSpec) -> bool:
    """Whether a library is imported in whose place a file of the current folder would have to be."""
    loaded = getattr(sys.modules.get(top), "__file__", None)
    other = loaded and there.origin and os.path.realpath(loaded) != os.path.realpath(there.origin)
    return bool(other) and not brings(top)


def brings(name: str) -> bool:
    """Whether a module, or one inside it, has brought something."""
    return any(f"{module}.".startswith(f"{name}.") for modules in CODE.values() for module in modules)


def failed(name: str, error: BaseException) -> ConfigError:
    """The sentence on a module that did not come to its end."""
    return ConfigError(f"--plugin {name} failed{told_place(error)}")


def told_place(error: BaseException) -> str:
    """Where in a user's own file an error came from, its type and its words, and what to do, as the rest of a
    sentence."""
    trace, place, package = error.__traceback__, "", Path(__file__).parent
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if package in path.parents and place:
            break  # below it is what this package was asked for
        if "importlib" not in str(path) and package not in path.parents:
            place = f" at {path.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{place}: {type(error).__name__}: {quoted(str(error))}; correct it there"


def remember(what: str, name: str, *owners: Any) -> None:
    """Keep which module brought a tower, loss, source or system, for a command that needs it again: the one that is
    being loaded, or that of the first of `owners`, classes and functions that it consists of."""
    modules = [owner.__module__ for owner in owners if hasattr(owner, "__module__")]
    modules += [owner.rpartition(".")[0] for owner in owners if isinstance(owner, str)]
    if top_of(modules[0]) != PACKAGE:
        ORIGINS[what, name] = LOADING[-1] if LOADING else modules[0]
        CODE[what, name] = {ORIGINS[what, name], *(module for module in modules if top_of(module) != PACKAGE)}


def origin(what: str, name: str) -> str | None:
    """The module that brought something, None for what is built in or of the program itself."""
    found = ORIGINS.get((what, name))
    return None if found == MAIN else found


def same_class(one: type | None, other: type | None) -> bool:
    """Whether two classes are one, or one that was defined anew, as in a notebook or a module that is loaded again."""
    names = [(found.__module__, found.__qualname__) for found in (one, other) if found is not None]
    return one is other or names == [names[0]] * 2


def top_of(module: str) -> str:
    """The first part of a dotted name."""
    return module.partition(".")[0]


def code_digest(what: str, name: str) -> str:
    """SHA-256 of the code that brought something, for what is kept of its results; "" for what is built in."""
    return digest_of(CODE.get((what, name), ()))


def code_digests() -> dict[str, str]:
    """{module that was given: SHA-256 of the code of all that it brought}."""
    found: dict[str, set[str]] = {}
    for thing, module in ORIGINS.items():
        found.setdefault(module, set()).update(CODE[thing])
    return {module: digest_of(parts) for module, parts in sorted(found.items()) if module != MAIN}


def digest_of(modules: Iterable[str]) -> str:
    """SHA-256 of all files of the modules, of the packages that they are in, and of those among a user's own that they
    use; "" where there are none."""
    found = hashlib.sha256()
    files = [file for top in sorted(used(modules)) for file in files_of(top)]
    for path, file in files:
        content = b""
        with contextlib.suppress(OSError):  # weights are saved whatever becomes of a file that is being edited
            content = file.read_bytes()
        found.update(f"{path} ".encode("utf-8", "surrogateescape") + hashlib.sha256(content).digest())
    return found.hexdigest() if files else ""


def used(modules: Iterable[str]) -> set[str]:
    """The first names of a user's own modules and of those that they import from each other."""
    own = {top_of(module) for parts in CODE.values() for module in parts} - {PACKAGE, MAIN}
    left, found = {top_of(module) for module in modules} & own, set()
    while left:
        found |= left
        inside = [module for name, module in list(sys.modules.items()) if top_of(name) in left]
        values = [value for module in inside for value in vars(module).values()]
        named = {
            value.__name__ if isinstance(value, ModuleType) else value.__module__ or ""
            for value in values
            if isinstance(value, (ModuleType, type, FunctionType))
        }
        left = {top_of(name) for name in named} & own - found
    return found


def files_of(top: str) -> list[tuple[str, Path]]:
    """[(path inside of it, file)] of the Python files of a module or a package, sorted."""
    module = sys.modules.get(top)
    folders = [Path(folder) for folder in getattr(module, "__path__", ())]
    inside = [(file.relative_to(folder).as_posix(), file) for folder in folders for file in folder.rglob("*.py")]
    single = [(top, Path(module.__file__))] if not folders and getattr(module, "__file__", None) else []
    return sorted((path, file) for path, file in [*inside, *single] if file.is_file())


def hint(what: str) -> str:
    """The clause that ends a message on an unknown name."""
    return f"a {what} of your own is known with --plugin MODULE (docs/extending.md)"
