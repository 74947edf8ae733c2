"""The index of a folder that `up` shows: where it is, whether it can be, and what makes it or brings it up to date."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import ConfigError
from ...files.paths.names import name_text
from ...files.paths.place import check_folder
from ...files.paths.program import typed
from ...search.scan.index_model import ModelChoice, same_model
from ...search.scan.places import Place, check_options, place_of
from ...search.store.manifest import MANIFEST, Manifest, read_manifest
from ...search.store.writer import check_empty
from ..index.scanning import choice_of

ENDING = ".index"
"""What the name of an index has behind that of its folder"""
CARRIED = ("vocab", "engine", "precision", "damaged")
"""Of a ModelChoice, beside the path"""


@dataclass(frozen=True)
class FolderIndex:
    """folder: of the index. place: what it is of; source, frames: that as it was given. choice: the model asked for.
    plugins: modules that the process is given, too."""

    folder: Path
    place: Place
    source: str
    frames: str
    choice: ModelChoice
    plugins: Sequence[str] = ()

    def check(self) -> None:
        """Raise what would end the first process, as far as it can be known before a model is loaded: ConfigError,
        DataError for what is in the place of the index, CheckpointError for another model."""
        check_folder(self.folder)
        if self.exists():
            manifest = read_manifest(self.folder)
            check_options(manifest, self.place)
            same_model(self.folder, manifest, self.choice)
            return
        check_empty(self.folder)
        if not self.choice.path:
            raise ConfigError(
                f"{name_text(str(self.folder))} is to be made, and no model is named; give --model M "
                f"(`{typed('demo')}` trains a small one, `{typed('download', '--list')}` lists published ones)"
            )
        if not os.path.exists(self.choice.path):
            raise ConfigError(f"{name_text(self.choice.path)}: there is no model; correct --model")

    def exists(self) -> bool:
        """Whether the index has been begun."""
        return (self.folder / MANIFEST).is_file()

    def command(self) -> list[str]:
        """The arguments of a process that makes the index, or brings it up to date; it ends with this one."""
        verb = [sys.executable, "-m", f"{__package__}.attached", str(os.getpid()), "index"]
        asked = {"model": self.choice.path, **{name: getattr(self.choice, name) for name in CARRIED}}
        model = [part for name, value in asked.items() if value for part in (f"--{name}", value)]
        model += [part for module in self.plugins for part in ("--plugin", module)]
        known = root_of(read_manifest(self.folder), self.place) if self.exists() else None
        if known is not None:
            return [*verb, "update", str(self.folder), "--source", known, "--quiet", *model]
        frames = ["--frames", self.frames] if self.frames else []
        source = os.path.join(os.curdir, self.source) if self.source.startswith("-") else self.source
        return [*verb, "build", str(self.folder), source, *frames, *model]


def folder_index(options: argparse.Namespace) -> FolderIndex:
    """What the options of `up` ask for; raises what `place_of` does, and what is wrong with the index."""
    source = options.folder
    if (Path(source) / MANIFEST).is_file():
        raise ConfigError(
            f"{name_text(source)} is an index, and no folder of pictures; see it with {typed('serve', source)}"
        )
    place = place_of(source, options.frames)
    if not options.index and not os.path.exists(source):
        raise ConfigError("this source is no folder beside which an index can be; give --index DIR")
    folder = options.index or f"{os.path.abspath(source)}{ENDING}"
    where = Path(os.path.abspath(folder))
    found = FolderIndex(where, place, source, options.frames, choice_of(options), options.plugins)
    found.check()
    return found


def root_of(manifest: Manifest, place: Place) -> str | None:
    """The number of a place in an index; None where the index is not yet of it."""
    for number, root in manifest.roots.items():
        if root["spec"] == place.spec and root["kind"] == place.kind:
            return str(number)
    return None
