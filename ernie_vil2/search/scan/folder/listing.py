"""The pictures and videos in a folder: walked however deep it is, without opening what is no file.

A million files are a million rows of arrays and one string of bytes, not objects.
"""

import errno
import os
import stat
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from ....data.images.formats.kinds import HEAD, is_picture_name, kind_of
from ....data.videos.kinds import is_video_name
from ....errors import DataError, advice, exhausted
from ....files.paths.litter import is_litter
from ....files.paths.names import name_text
from ....messages import NO_PICTURES, counted

LONGEST = 4000
"""Bytes of a path that is handed to the system at once, which takes 4,096"""
READING = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
Flaw = tuple[bytes, int, int, str, str]
"""(path, size, mtime, cause, reason) of what is no picture that can be read"""


@dataclass
class Listing:
    """Pictures and videos below a folder, in the order of their names, folder by folder.

    sizes: bytes, mtimes: nanoseconds, videos: 1 for a video, one of each a file. flaws: what looks like a picture and
    cannot be one; unread: folders that could not be looked into; others, links: how many files are no pictures, or are
    links that are not followed, and the first of each.
    """

    places: bytearray = field(default_factory=bytearray)
    ends: array = field(default_factory=lambda: array("q"))
    sizes: array = field(default_factory=lambda: array("q"))
    mtimes: array = field(default_factory=lambda: array("q"))
    videos: bytearray = field(default_factory=bytearray)
    flaws: list[Flaw] = field(default_factory=list)
    unread: list[bytes] = field(default_factory=list)
    others: int = 0
    links: int = 0
    first_other: bytes = b""
    first_link: bytes = b""

    def __len__(self) -> int:
        return len(self.ends)

    def path(self, row: int) -> bytes:
        """The path of a file from the folder."""
        return bytes(self.places[self.ends[row - 1] if row else 0 : self.ends[row]])

    def paths(self) -> Iterator[bytes]:
        """All paths, in order."""
        return map(self.path, range(len(self)))

    def hashes(self) -> np.ndarray:
        """int64 [n]: hashes of the paths, of use in this process alone."""
        return np.fromiter(map(hash, self.paths()), np.int64, len(self))

    def add(self, path: bytes, status: os.stat_result, video: bool) -> None:
        """One more file."""
        self.places += path
        self.ends.append(len(self.places))
        self.sizes.append(status.st_size)
        self.mtimes.append(status.st_mtime_ns)
        self.videos.append(video)

    def notes(self, name: str) -> list[str]:
        """Sentences on what is left out of a folder of this name."""
        notes = []
        if self.others:
            first = name_text(os.fsdecode(self.first_other))
            others = counted(self.others, *NO_PICTURES)
            notes.append(f"{name}: {others} passed over, for example {first}")
        if self.links:
            first = name_text(os.fsdecode(self.first_link))
            notes.append(
                f"{name}: {counted(self.links, 'link is', 'links are')} passed over, for example {first}; give "
                "'{kind: pictures, path: FOLDER, allow_outside: true}' to follow them"
            )
        return notes


@contextmanager
def opened_folder(folder: str | os.PathLike) -> Iterator[int]:
    """A descriptor of a folder; DataError where it is not there or cannot be looked into."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{name_text(folder)}: cannot be looked into ({reason}), so its pictures stay in the index as they are; "
            "mount the disk, say where it is now with `index update --moved OLD NEW`, or take them out with "
            "`index remove --source`"
        ) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_below(root: int, path: bytes, flags: int) -> int:
    """A descriptor of what lies at a path below an open folder, however long that is; OSError where it cannot be."""
    at, owned = root, False
    try:
        while len(path) > LONGEST:
            cut = path.rindex(b"/", 0, LONGEST)
            below = os.open(path[:cut], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=at)
            if owned:
                os.close(at)
            at, owned, path = below, True, path[cut + 1 :]
        return os.open(path or b".", flags, dir_fd=at)
    finally:
        if owned:
            os.close(at)


def list_folder(
    folder: str | os.PathLike,
    allow_outside: bool = False,
    told: Callable[[int], object] = lambda count: None,
    without: Sequence[str | os.PathLike] = (),
    left_out: Callable[[str], object] = lambda path: False,
) -> Listing:
    """The Listing of a folder. allow_outside: whether links are followed; a file then counts once for each way to it,
    a folder once. told: called with the number of files after each folder. without: folders that are not looked into;
    left_out: whether a file is passed over, by its path. Raises DataError for the folder itself."""
    with opened_folder(folder) as root:
        walk = Walk(root, os.path.realpath(folder), allow_outside, left_out)
        walk.seen |= {(status.st_dev, status.st_ino) for status in map(os.stat, filter(os.path.isdir, without))}
        waiting = [b""]
        while waiting:
            waiting += reversed(walk.look_into(waiting.pop()))
            told(len(walk.listing))
    return walk.listing


class Walk:
    """One walk over a folder: what was found, and which folders have been seen."""

    def __init__(self, root: int, real: str, allow_outside: bool, left_out: Callable[[str], object]):
        self.root, self.front, self.allow_outside = root, os.path.join(real, ""), allow_outside
        self.left_out = left_out
        self.listing, self.seen = Listing(), set()

    def look_into(self, place: bytes) -> list[bytes]:
        """Take the files of a folder; the folders in it, in order."""
        link = 0 if self.allow_outside else os.O_NOFOLLOW
        try:
            descriptor = open_below(self.root, place, READING | os.O_DIRECTORY | link)
        except OSError as error:
            self._unreadable(place, error)
            return []
        try:
            status = os.fstat(descriptor)
            if (status.st_dev, status.st_ino) in self.seen:
                return []
            self.seen.add((status.st_dev, status.st_ino))
            with os.scandir(descriptor) as entries:
                found = sorted((os.fsencode(entry.name), entry) for entry in entries if not is_litter(entry.name))
            front = place + b"/" if place else b""
            return [front + name for name, entry in found if self._take(front + name, entry, descriptor)]
        except OSError as error:
            self._unreadable(place, error)
            return []
        finally:
            os.close(descriptor)

    def _take(self, path, entry, descriptor):
        """Take an entry of an open folder; whether it is a folder to be walked."""
        listing = self.listing
        try:
            status = os.stat(entry.name, dir_fd=descriptor, follow_symlinks=self.allow_outside)
            if stat.S_ISLNK(status.st_mode):
                self._pass_link(path, entry, descriptor)
                return False
        except OSError as error:
            if exhausted(error):
                raise
            if error.errno != errno.ENOENT or entry.is_symlink():
                self._flaw(path, None, "unreadable file", f"cannot be read ({error.strerror}); {advice(error)}")
            return False
        if stat.S_ISDIR(status.st_mode):
            return True
        if self.left_out(os.fsdecode(path)):
            return False
        named = is_video_name(entry.name) or is_picture_name(entry.name)
        regular = stat.S_ISREG(status.st_mode)
        if regular and (named or begins_as_picture(entry.name, descriptor)):
            listing.add(path, status, is_video_name(entry.name))
        elif named:
            self._flaw(path, status, "unreadable file", "is a pipe, a device or a socket; give a picture file")
        else:
            listing.others, listing.first_other = listing.others + 1, listing.first_other or path
        return False

    def _pass_link(self, path, entry, descriptor):
        """Pass over a link; one with the name of a picture that leads nowhere, or out of the folder, is a flaw."""
        listing = self.listing
        reason = "is a link out of the folder; copy the file itself, or follow links with allow_outside: true"
        try:
            status = os.stat(entry.name, dir_fd=descriptor)
            real = os.path.realpath(os.path.join(self.front, os.fsdecode(path)))
            inside = stat.S_ISDIR(status.st_mode) or real.startswith(self.front)
        except OSError as error:
            inside, reason = False, f"is a link that leads nowhere ({error.strerror}); correct or remove the link"
        if inside or not (is_video_name(entry.name) or is_picture_name(entry.name)):
            listing.links, listing.first_link = listing.links + 1, listing.first_link or path
        else:
            self._flaw(path, os.stat(entry.name, dir_fd=descriptor, follow_symlinks=False), "unusable link", reason)

    def _flaw(self, path, status, cause, reason):
        size, mtime = (status.st_size, status.st_mtime_ns) if status else (0, 0)
        self.listing.flaws.append((path, size, mtime, cause, reason))

    def _unreadable(self, place, error):
        """Note a folder that cannot be looked into: what the index has of it stays."""
        if exhausted(error):
            raise error
        if error.errno != errno.ENOENT:
            self.listing.unread.append(place)
            self._flaw(place, None, "unreadable folder", f"cannot be looked into ({error.strerror}); {advice(error)}")


def begins_as_picture(name: str, descriptor: int) -> bool:
    """Whether a regular file in an open folder begins as a picture does; one that cannot be read does not."""
    try:
        file = os.open(name, READING | os.O_NOFOLLOW, dir_fd=descriptor)
    except OSError as error:
        if exhausted(error):
            raise
        return False
    try:
        return kind_of(os.pread(file, HEAD, 0)) is not None
    except OSError:
        return False
    finally:
        os.close(file)
