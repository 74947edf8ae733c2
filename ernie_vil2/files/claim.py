"""Who may write where: a command replaces nothing that it did not write, and none of its inputs, unless asked to.

A command makes one `Claims` of its inputs and claims every place it will write, before it does any work. It knows
its own files by a mark in them, and its own folders by what it says of them. Even with `replace` a folder of another
kind stays, and so does one that holds an input: nobody can mean the loss of what lies in it.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError, UserError
from ..messages import plain
from .leftovers import clear_leftovers
from .marks import marked, written_by
from .paths import patterns
from .paths.place import check_file, check_folder
from .run_folder import CHECKPOINTS, STATE
from .yaml_files import parse_yaml

REPLACE = "replace what stands where the output goes, though it is an input or something else wrote it"
Told = Callable[[Path], bool]


def empty(path: Path) -> bool:
    """Whether a folder has nothing in it."""
    return not any(path.iterdir())


def of_a_run(path: Path) -> bool:
    """Whether a folder is that of a run, of its checkpoints, or a checkpoint, from which training goes on."""
    return (path / STATE).is_file() or any((path / CHECKPOINTS).glob("step-*")) or any(path.glob(f"step-*/{STATE}"))


def paths_of(spec: Any) -> Iterator[Path]:
    """The files and folders that exist and are named in an argument: a path, a glob, or a mapping of a source."""
    if isinstance(spec, str) and spec.startswith("{") and not patterns.is_braces(spec):
        try:
            spec = parse_yaml(spec)
        except yaml.YAMLError:
            return
    if isinstance(spec, Mapping):
        spec = list(spec.values())
    if isinstance(spec, (list, tuple)):
        for part in spec:
            yield from paths_of(part)
    elif isinstance(spec, (str, os.PathLike)):
        if patterns.path_error(os.fsdecode(spec)):
            return
        text = os.path.expanduser(os.fspath(spec))
        try:
            yield from map(Path, [text] if os.path.lexists(text) else patterns.paths_of(text))
        except (UserError, OSError, ValueError):  # whoever opens it says what is wrong
            return


def same(one: Path, other: Path) -> bool:
    """Whether two paths are one file or folder, through links of both kinds; or will be, where nothing is there yet."""
    if os.path.exists(one) and os.path.exists(other):
        return os.path.samefile(one, other)
    return os.path.realpath(one) == os.path.realpath(other)


def inside(path: Path, folder: Path) -> bool:
    """Whether a path lies below a folder."""
    return any(same(parent, folder) for parent in Path(os.path.realpath(path)).parents)


def holds(folder: Path, path: Path) -> bool:
    """Whether a path is a folder or lies below it."""
    return same(path, folder) or inside(path, folder)


class Claims:
    """The places that one run of a command writes.

    inputs: paths, globs or sources that it reads, None among them is passed over; replace: whether `--replace` was
    given. `file` and `folder` raise ConfigError in one sentence for a place that must stay as it is.
    """

    def __init__(self, command: str, inputs: Iterable[Any], replace: bool = False) -> None:
        self.command, self.replace = command, replace
        self.inputs = [path for spec in inputs for path in paths_of(spec)]
        self.taken: list[Path] = []

    def file(self, target: str | os.PathLike | None, own: Told | None = None, parents: bool = False) -> None:
        """Claim a file, if one is named. own: whether an existing one is of this command; by default its mark tells.
        parents: whether the command makes the folders above it."""
        if target is None:
            return
        check_file(target, parents)
        target = self._begin(target)
        if target.is_dir():
            raise ConfigError(f"{target} is a folder; name the file to write, for example {target / 'out'}")
        if target.exists() and not target.is_file():
            raise ConfigError(f"{target} is no plain file, so it is not replaced; choose another name")
        if os.path.lexists(target) and not self.replace:
            self._refuse_input(target)
            if not (own(target) if own else written_by(target, self.command)):
                raise self._foreign(target)

    def folder(self, target: str | os.PathLike | None, kind: str, own: Told, known: Told | None = None) -> None:
        """Claim a folder that will be replaced as a whole, if one is named.

        kind: what it becomes, for people ("a model directory"); own: whether this command wrote an existing one;
        known: whether it is of the kind, so that it may be replaced when that is asked for (default: `own`).
        """
        if target is None:
            return
        check_folder(target, replaced=True)
        target = self._begin(target)
        held = [path for path in self.inputs if inside(path, target)]
        if held:
            raise ConfigError(
                f"{target} is the folder that holds the source {held[0]}; give another place for the result"
            )
        if not os.path.lexists(target) or (target.is_dir() and empty(target)):
            return
        if not target.is_dir() or not (known or own)(target):
            raise ConfigError(
                f"{target} exists and is not {kind}, so it is not replaced; choose another name or remove it"
            )
        if not self.replace:
            self._refuse_input(target)
            if of_a_run(target):
                raise ConfigError(
                    f"{target} belongs to a run, which could not go on without it; choose another name, or give "
                    "--replace to replace it"
                )
            if not own(target):
                raise self._foreign(target)

    def _begin(self, target: str | os.PathLike) -> Path:
        """The target, with what killed writers left cleared away, and no second output of this command."""
        target = Path(target)
        for path in dict.fromkeys((target.absolute(), Path(os.path.realpath(target)))):
            for told in clear_leftovers(path):
                print(f"note: {plain(told)}", file=sys.stderr)
        for other in self.taken:
            if same(target, other) or inside(target, other) or inside(other, target):
                raise ConfigError(f"{target} and {other} are both written to; give each a place of its own")
        self.taken.append(target)
        return target

    def _refuse_input(self, target: Path) -> None:
        for path in self.inputs:
            if same(target, path):
                raise ConfigError(
                    f"{target} is an input of this command; choose another name, or give --replace to replace it"
                )

    def _foreign(self, target: Path) -> ConfigError:
        return ConfigError(
            f"{target} exists and does not say that {marked(self.command)} wrote it, so nothing was written; choose "
            "another name, or give --replace to replace it"
        )
