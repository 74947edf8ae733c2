"""Published files by name: what is there is checked, what is not is fetched from the first address that has it.

A name has a folder of its own, `OUTPUT/NAME/`. checksums.json in it holds size, SHA-256, address and date of every
file, written when the file was first seen whole; from then on the file must agree with it. A published checksum decides
first, where there is one. Without one the record is a promise about change, not about origin, and the output says so.
"""

import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ...errors import CheckpointError, advice
from ...files.atomic import atomic_file, reported, sync_directory
from ...files.json_files import SETTINGS_BYTES, read_json
from ...files.locks import exclusive
from ...files.paths.place import check_folder
from .catalogue import Published, addresses, files_of
from .http_file import Interrupted, Limits, Progress, Refused, fetch
from .part_file import Part

RECORD, LOCK = "checksums.json", ".lock"
MIRRORS = "ERNIE_VIL2_MIRRORS"
KINDS = {32: "MD5", 64: "SHA-256"}
LATER = "put the file there yourself, or run the same command again: it goes on from what arrived"


def download(
    name: str,
    output: str | os.PathLike = "downloads",
    mirrors: Iterable[str] = (),
    sha256: str | None = None,
    offline: bool = False,
    limits: Limits | None = None,
    tell: Callable[[str], object] = print,
    progress: Progress | None = None,
) -> Path:
    """Path of the folder `output/name` with all files of `name` in it, each checked.

    `mirrors` are base addresses tried first, before those of the variable ERNIE_VIL2_MIRRORS (separated by blanks or
    commas) and the published ones. `sha256` is what the first file, the weights, must have. With `offline` no address
    is asked. `tell` takes lines of text, `progress` (bytes so far, whole length or None). Raises CheckpointError in one
    sentence: an unknown name, a file that differs from its checksum (it stays where it is), addresses that all failed.
    """
    files = files_of(name)
    mirrors = [*mirrors, *filter(None, re.split(r"[\s,]+", os.environ.get(MIRRORS, "")))]
    mirrors = [checked_mirror(mirror) for mirror in mirrors]
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256.strip()):
        raise CheckpointError(f"{sha256!r} is not a SHA-256: give its 64 hexadecimal digits")
    wanted = {files[0]: sha256.strip().lower()} if sha256 is not None else {}
    folder = Path(output) / name
    if not offline:
        check_folder(output)
        with reported(folder):
            folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, tell) as writable:
        for file in files:
            one = Wanted(folder, file, wanted.get(file), tell)
            if one.path.exists():
                one.check_present(writable)
            elif offline:
                raise CheckpointError(
                    f"{one.path} is not there and nothing is asked of the network; copy it there from another machine"
                )
            else:
                one.obtain(addresses(name, file, mirrors), limits or Limits(), progress)
    return folder


def checked_mirror(mirror: str) -> str:
    """The address, or CheckpointError where it is not a plain http or https one."""
    try:
        parts = urlsplit(mirror)
        plain = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    except ValueError:
        plain = False
    if not plain or not mirror.isascii() or not mirror.isprintable() or parts.query or parts.fragment:
        raise CheckpointError(
            f"the mirror {mirror.rpartition('@')[2]!r} is not usable; give an address such as https://host/folder, "
            "without user name, ? and #"
        )
    return mirror


@contextmanager
def locked(folder: Path, tell: Callable[[str], object]) -> Iterator[bool]:
    """Hold the folder's lock: of several processes that want the same name, one fetches and the others wait for it.

    Yields False, without a lock, for a folder that is absent or cannot be written: its files can still be checked.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(
                exclusive(folder / LOCK, lambda: tell(f"{folder}: another process is at work here; waiting for it"))
            )
            writable = True
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            writable = False
        yield writable


def digests(path: str | os.PathLike) -> dict[str, Any]:
    """{"sha256", "md5", "bytes", "first", "last"} of a file; the last two are its outermost bytes."""
    sha256, md5, size, first, last = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0, b"", b""
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            sha256.update(block)
            md5.update(block)
            size, first, last = size + len(block), first or block[:1], block[-1:]
    return {"sha256": sha256.hexdigest(), "md5": md5.hexdigest(), "bytes": size, "first": first, "last": last}


class Wanted:
    """One file of a name: where it belongs, and every checksum that it must fit."""

    def __init__(self, folder: Path, file: Published, sha256: str | None, tell: Callable[[str], object]):
        self.path, self.file, self.sha256, self.tell = folder / file.name, file, sha256, tell
        self.records = read_records(folder / RECORD)
        self.record = self.records.get(file.name)

    def objection(self, found: Mapping[str, Any]) -> str | None:
        """Why a file with these digests is not the one, naming both checksums; None where it is."""
        if self.sha256 and found["sha256"] != self.sha256:
            return f"has SHA-256 {found['sha256']}, not the {self.sha256} that was asked for"
        public = self.file.checksums
        if public:
            own = found["md5"] if len(public[0]) == 32 else found["sha256"]
            return None if own in public else f"has {KINDS[len(own)]} {own}, not the published {' or '.join(public)}"
        if self.record and found["sha256"] != self.record["sha256"]:
            day = self.record["date"][:10]
            return f"has SHA-256 {found['sha256']}, not the {self.record['sha256']} recorded on {day}"
        return None if self.decided else shape_objection(found, self.path.suffix)

    @property
    def decided(self) -> bool:
        """Whether a checksum is known before the file is here."""
        return bool(self.sha256 or self.file.checksums or self.record)

    def check_present(self, writable: bool) -> None:
        """Check the file that is there; write a record where there is none."""
        try:
            found = digests(self.path)
        except OSError as error:
            raise CheckpointError(
                f"cannot read {self.path}: {error.strerror or error}; {advice(error, 'correct that')}"
            ) from None
        if objection := self.objection(found):
            raise CheckpointError(
                f"{self.path} {objection}; move it away and run the command again, or, where the change is meant, "
                f"take {self.file.name} out of {self.path.with_name(RECORD)}"
            )
        self.tell(f"{self.path}: there already, {found['bytes']:,} bytes; {self.assurance(found)}")
        if writable:
            self.write_record(found, None)

    def obtain(self, urls: Iterable[str], limits: Limits, progress: Progress | None) -> None:
        """Fetch from the first address that gives the file; raise CheckpointError that says of each why it did not."""
        failures = []
        for url in urls:
            key = hashlib.sha256(url.encode()).hexdigest()[:8]
            part = Part(self.path.with_name(f"{self.path.name}.{key}.part"), url)
            self.tell(f"{self.path}: asking {url}" + (f", {part.size:,} bytes are here" if part.known() else ""))
            try:
                fetch(part, limits, not self.decided, progress)
                try:
                    self.accept(part, url)
                except Refused:
                    if not part.joined:
                        raise
                    self.tell(f"{self.path}: the pieces do not fit together; starting again")
                    fetch(part, limits, not self.decided, progress)
                    self.accept(part, url)
                return
            except (Interrupted, Refused) as failure:
                failures.append(f"{url} {failure}")
                self.tell(f"note: {failures[-1]}")  # the error has room for a few of them
        hint = f"{LATER}; where the publisher changed the file, take it out of {RECORD}" if self.record else LATER
        raise CheckpointError(f"{self.path} could not be fetched: {'; '.join(failures)}; {hint}")

    def accept(self, part: Part, url: str) -> None:
        """Give a whole part its final name, or remove it and raise Refused."""
        found = digests(part.path)
        if objection := self.objection(found):
            part.remove()
            raise Refused(f"sends a file that {objection}")
        with reported(self.path):
            with open(part.path, "rb") as handle:
                os.fsync(handle.fileno())
            self.write_record(found, url)
            os.replace(part.path, self.path)
            sync_directory(self.path.parent)
        for rest in self.path.parent.glob(f"{self.path.name}.????????.part*"):
            rest.unlink(missing_ok=True)
        self.tell(f"{self.path}: {found['bytes']:,} bytes; {self.assurance(found)}")
        if url.startswith("http:") and not (self.sha256 or self.file.checksums):
            self.tell("note: http is open to change on the way; compare the SHA-256 above with a second source")

    def assurance(self, found: Mapping[str, Any]) -> str:
        """What is known about a file that fits, as a phrase."""
        if self.sha256:
            return "SHA-256 as asked for"
        if self.file.checksums:
            return f"the published {KINDS[len(self.file.checksums[0])]} fits"
        if self.record:
            return f"as recorded on {self.record['date'][:10]} (no published checksum); SHA-256 {found['sha256']}"
        return f"SHA-256 {found['sha256']} recorded now, not verified against a published checksum"

    def write_record(self, found: Mapping[str, Any], url: str | None) -> None:
        """Add the file to checksums.json, unless it stands there as it is."""
        if self.record and self.record["sha256"] == found["sha256"]:
            return
        date = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self.records[self.file.name] = {"sha256": found["sha256"], "bytes": found["bytes"], "url": url, "date": date}
        with reported(self.path.with_name(RECORD)), atomic_file(self.path.with_name(RECORD)) as handle:
            handle.write((json.dumps(self.records, indent=2, sort_keys=True) + "\n").encode())


def read_records(path: Path) -> dict[str, dict[str, Any]]:
    """{file name: {"sha256", "bytes", "url", "date"}} of a checksums.json; empty where there is none."""
    if not path.exists():
        return {}
    try:
        records = read_json(path, most=SETTINGS_BYTES)
        for record in records.values():
            if not (re.fullmatch("[0-9a-f]{64}", record["sha256"]) and isinstance(record["date"], str)):
                raise ValueError
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise CheckpointError(
            f"{path} is damaged, so files cannot be compared with it; restore it, or remove it to record anew"
        ) from None
    return records


def shape_objection(found: Mapping[str, Any], suffix: str) -> str | None:
    """Without any known checksum: what tells that a file is cut or of another kind; None where nothing does."""
    if not found["bytes"]:
        return "is empty"
    if suffix == ".pdparams" and (found["first"], found["last"]) != (b"\x80", b"."):
        return "does not begin and end as a .pdparams does"
    return None
