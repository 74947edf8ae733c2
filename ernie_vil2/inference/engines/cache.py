"""Engines that are built once per model and kept: beside the model, else in the user's cache, else for this process.

An entry is a folder that appears whole or not at all, under a lock of its own. It is used only where its record names
the same facts and every file is as listed; whatever else is in its place is replaced.
"""

import contextlib
import errno
import itertools
import logging
import os
import shutil
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ...checkpoints.model_directory import ENGINES
from ...errors import CheckpointError, UserError
from ...files.atomic import clear, replace_directory, synced_file
from ...files.leftovers import new_scratch_folder, temporary_name
from ...files.locks import exclusive
from ...files.paths.place import user_cache_folder
from ...messages import plain
from ...versions import versions
from ..identity import model_digest
from .record import MODEL, fault_of, seal

LOG = logging.getLogger("ernie_vil2")
Build = Callable[[Path], object]
"""Writes the files of an engine into an empty folder"""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PROBE = 1 << 20
"""Bytes that a place must still take after a build that failed there, or the place is to blame"""
QUANTIZE = "quantize the model again with ernie-vil2 quantize MODEL --calibrate SOURCE"
MADE_WITH = ("ernie_vil2", "paddle", "openvino")
IN_MEMORY = "in memory"
_numbers = itertools.count(1)


class NoRoom(CheckpointError):
    """No place takes a built engine."""


class Refused(Exception):
    """A place does not take an entry."""


class EngineCache:
    """The built engines of one model.

    model_path: a model directory, whose engines lie in `MODEL/engines/NAME/`, or a file of weights, with
    `FILE.engines/NAME/` beside it; None for a model in memory, of which nothing outlives this object. user_cache: where
    engines are kept when that place cannot be written, by default the user's own (XDG). The weights are identified when
    this object is made, so make it where they are read: it notices when they are replaced later.
    """

    def __init__(self, model_path: str | os.PathLike | None, user_cache: str | os.PathLike | None = None) -> None:
        self.model = None if model_path is None else Path(os.path.abspath(model_path))
        self.digest = IN_MEMORY if self.model is None else model_digest(self.model)
        self._user_cache = user_cache_folder() if user_cache is None else Path(user_cache)
        self._scratch: dict[int, Path] = {}
        self._warned = False

    def facts(self, **more: str) -> dict[str, str]:
        """What an engine depends on: the weights' digest, versions of this project and of what computes, and `more`."""
        found = versions()
        return {MODEL: self.digest, **{name: found[name] or "none" for name in MADE_WITH}, **more}

    def entry(self, name: str, facts: Mapping[str, str], build: Build) -> Path:
        """The folder of a whole engine of these facts: one that is kept, or what `build(folder)` writes now.

        Of several threads and processes one builds and the others wait. Where no place keeps it, which one warning
        says, the folder lasts as long as this object. Raises NoRoom where nothing can be written at all, and what
        `build` raises.
        """
        places = list(self._places())
        for folder in (place / name for place in places):
            if os.path.lexists(folder) and fault_of(folder, facts) is None:
                return folder
        refusals = []
        for place in places if self._unchanged() else ():
            try:
                return self._built(place, name, facts, build)
            except Refused as refusal:
                refusals.append(f"{place}: {refusal}")
        try:
            scratch = self._scratch_folder()
            if self.model is not None and not self._warned:
                self._warned = True
                why = "; ".join(refusals) or f"{self.model} was replaced after it was loaded"
                LOG.warning("%s", plain(f"engines are built for this process alone and not kept ({why})"))
            return self._built(scratch, name, facts, build)
        except Refused as refusal:
            raise self._no_room(name, [*refusals, f"temporary files: {refusal}"]) from refusal

    def read(self, name: str, facts: Mapping[str, str]) -> Path | None:
        """The folder of an engine that only `write` makes, or None; CheckpointError where it is damaged or of other
        facts."""
        faults = []
        for folder in (place / name for place in self._places()):
            if not os.path.lexists(folder):
                clear(folder)  # a version that a killed writer set aside comes back
            if os.path.lexists(folder):
                fault = fault_of(folder, facts)
                if fault is None:
                    return folder
                faults.append(f"the engine {folder} {fault}; {QUANTIZE}")
        if faults:
            raise CheckpointError(faults[0])
        return None

    def write(self, name: str, facts: Mapping[str, str], build: Build) -> Path:
        """The folder of what `build(folder)` writes, kept in place of an older one; NoRoom where no place keeps it."""
        if not self._unchanged():
            raise CheckpointError(f"{self.model} was replaced after it was loaded; start again")
        refusals = []
        for place in self._places():
            try:
                return self._built(place, name, facts, build, anew=True)
            except Refused as refusal:
                refusals.append(f"{place}: {refusal}")
        raise self._no_room(name, refusals or ["the model has no file"])

    def _places(self) -> Iterator[Path]:
        if self.model is not None:
            yield self.model / ENGINES if self.model.is_dir() else Path(f"{self.model}.{ENGINES}")
            if self._user_cache is not None:
                yield self._user_cache / ENGINES / self.digest

    def _unchanged(self) -> bool:
        """Whether the model is still that of the digest, so that what is built of the one in memory may be kept."""
        with contextlib.suppress(UserError):
            return self.model is None or model_digest(self.model) == self.digest
        return False

    def _built(self, place: Path, name: str, facts: Mapping[str, str], build: Build, anew: bool = False) -> Path:
        """The entry in a place, by whoever builds it first; Refused where the place does not take it."""
        target = place / name
        with ExitStack() as stack:
            with asked():
                self._open(place, target)
                say = f"{target}: another process or thread builds this engine; waiting for it"
                stack.enter_context(exclusive(place / f"{name}.lock", lambda: LOG.warning("%s", plain(say))))
                if os.path.lexists(target) and not anew:
                    if (fault := fault_of(target, facts)) is None:
                        return target
                    LOG.warning("%s", plain(f"the engine {target} {fault}; it is built again"))
                clear(target, alone=True)
                made = temporary_name(target)
                shutil.rmtree(made, ignore_errors=True)
                made.mkdir()
                stack.callback(shutil.rmtree, made, ignore_errors=True)
            try:
                build(made)
            except UserError:
                raise
            except Exception as error:
                if reason := refusal_behind(error, made):
                    raise Refused(reason) from error
                raise
            with asked():
                seal(made, facts)
                replace_directory(made, target)
        return target

    def _open(self, place: Path, target: Path) -> None:
        """Make the folder of a place; what is a link is not followed, for it would be written and removed elsewhere."""
        for path in (place, target):
            if path.is_symlink():
                raise Refused(f"{path.name} is a link, which is not followed")
        if self._user_cache in place.parents:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        else:  # without the folders above: a checkpoint that was removed must not come back
            place.mkdir(exist_ok=True)

    def _scratch_folder(self) -> Path:
        """A folder that goes with this object, and is this process's own; Refused where there is none."""
        process = os.getpid()
        if process not in self._scratch:
            with asked():
                made = new_scratch_folder("engines", next(_numbers))
            weakref.finalize(self, remove_of, process, made)
            self._scratch.setdefault(process, made)
        return self._scratch[process]

    def _no_room(self, name: str, refusals: list[str]) -> NoRoom:
        return NoRoom(f"no place takes the engine {name} ({'; '.join(refusals)}); free some space in one of them")


@contextmanager
def asked() -> Iterator[None]:
    """Turn a refusal of the system into one of the place."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise Refused(getattr(error, "strerror", None) or str(error)) from error


def refusal_behind(error: Exception, folder: Path) -> str | None:
    """Why the system takes no more in the folder of a build that failed, whatever its library said of it; else None."""
    if isinstance(error, OSError) and error.errno in FULL:
        return error.strerror
    try:
        with synced_file(folder / "probe") as handle:
            handle.write(bytes(PROBE))
    except OSError as refusal:
        return refusal.strerror
    return None


def remove_of(process: int, folder: Path) -> None:
    """Remove a folder in the process that made it; one that was forked from it leaves it alone."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
