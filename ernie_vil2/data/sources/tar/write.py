"""Write any source as tars in webdataset's layout, with an index of counts and checksums; images keep their bytes.

A shard is a function of the rows in it, so what a kill interrupts is written again with the same bytes: finished tars
stand in `index.json` with the rows that they came from, and writing goes on behind the last of them.
"""

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ....errors import ConfigError, DataError, advice, exhausted
from ....files.atomic import LOG, atomic_file, behind_link, replace_directory
from ....files.leftovers import clear_leftovers_in
from ....files.paths.spellings import same_source
from ....messages import plain, quoted
from ...images.limits import DEFAULT_LIMITS, Limits
from ..base import RowError, Sample, Source, require_sides
from ..stem_parts import IMAGE, LIMITS, document_of, suffix_of
from ..usable import picture_sides, read_row
from .manifest import NAME, read_manifest, write_manifest
from .seen import SeenPictures, forget, seen_pictures

BAD_NAME = "bad.txt"
UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}
MOST_SIZE = 1 << 62
MEMBER_BYTES = 3 * 512 + 10240  # headers and padding of a sample, and the end of a tar: so a limit is never passed


@dataclass
class Packed:
    """The two members of a sample."""

    name: str
    image: bytes
    document: bytes
    captions: int

    @property
    def members(self) -> tuple[tuple[str, bytes], tuple[str, bytes]]:
        return ((self.name, self.image), (os.path.splitext(self.name)[0] + ".json", self.document))

    def __len__(self):
        return sum(512 + -(-len(content) // 512) * 512 for _, content in self.members)


class HashingFile:
    """A file open for writing that keeps the SHA-256 and the number of what is written."""

    def __init__(self, handle: BinaryIO):
        self.handle, self.hash, self.bytes = handle, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        self.bytes += len(data)
        return self.handle.write(data)


def write_shards(
    source: Source,
    out: str | os.PathLike,
    per_shard: int = 10000,
    size_limit: int = 10**9,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
    limits: Limits = DEFAULT_LIMITS,
    replace: bool = False,
) -> dict[str, Any]:
    """Write `source` as `out`/00000.tar, ... of at most `per_shard` samples and `size_limit` bytes each.

    Returns the content of `out`/index.json. Bad rows are left out, counted, and listed in `out`/bad.txt. An `out` of
    the same source and options is gone on with; any other that is not empty raises ConfigError. progress: wraps the
    iterator of rows that are still to be written. limits: what pictures are refused, as in `check`. replace: other
    shards in `out` give way once the new ones, written to `out`.partial, are whole. DataError for one side alone.
    """
    require_sides(source, "a tar of samples")
    if per_shard < 1 or size_limit < 1:
        raise ConfigError("a shard holds at least 1 sample and 1 byte; raise --per-shard or --size-limit")
    out = behind_link(out)
    out.mkdir(parents=True, exist_ok=True)
    options = options_of(source, per_shard, size_limit, limits)
    if replace and not goes_on(out, options):
        made = out.with_name(f"{out.name}.partial")
        content = write_shards(source, made, per_shard, size_limit, progress, limits)
        replace_directory(made, out)
        return content
    content = beginning(out, options)
    if content["complete"]:
        forget(out)
        return content
    start = content["shards"][-1]["rows"][1] if content["shards"] else 0
    with open(out / BAD_NAME, "ab", buffering=0) as bad, seen_pictures(out, start) as seen:
        bad.truncate(content["bad_bytes"])
        bad.seek(0, os.SEEK_END)  # or tell() gives the old end until something is written
        samples = Rows(source, start, progress, bad, seen, limits)
        while samples.peek() is not None:
            content["shards"].append(write_shard(samples, out, len(content["shards"]), per_shard, size_limit))
            content["bad"] += samples.take_bad()
            os.fsync(bad.fileno())
            seen.commit()
            content["bad_bytes"] = bad.tell()
            write_manifest(out, content)
        content["bad"] += samples.take_bad()
        content["bad_bytes"] = bad.tell()
    if not content["shards"]:
        raise DataError(f"{source.name}: not one of its {len(source):,} rows can be written; {out / BAD_NAME} says why")
    if not content["bad"]:
        (out / BAD_NAME).unlink()
    content["complete"] = True
    write_manifest(out, content)
    forget(out)
    return read_manifest(out)


def options_of(source: Source, per_shard: int, size_limit: int, limits: Limits) -> dict[str, Any]:
    """What shards are made of, and how: what must be the same where they are gone on with."""
    options = {"source": source.name, "rows": len(source), "per_shard": per_shard, "size_limit": size_limit}
    return options | {"keep_damaged": limits.keep_damaged}


def goes_on(out: Path, options: dict[str, Any]) -> bool:
    """Whether what stands in `out` can be gone on with."""
    try:
        return bool(beginning(out, options))
    except (ConfigError, DataError):
        return False


def beginning(out: Path, options: dict[str, Any]) -> dict[str, Any]:
    """What stands in `out` already, checked to be of these options; leftovers of kills are removed."""
    for told in clear_leftovers_in(out, r"(\d{5,}\.tar|index\.json)"):
        LOG.warning("note: %s", plain(told))
    found = read_manifest(out)
    if found is None:
        if os.listdir(out):
            raise ConfigError(f"{out}: the folder is not empty; name a new folder for the shards")
        found = {**options, "complete": False, "bad": 0, "bad_bytes": 0, "shards": []}
        write_manifest(out, found)
    for name, value in options.items():
        same = name == "source" and same_source(found.get(name), value)
        if not same and found.get(name, False) != value:  # shards of earlier releases say nothing of damage
            raise ConfigError(
                f"{out}: holds shards with {name} {found.get(name)!r}, not {value!r}; name a new folder, or go on with "
                "the same source and options"
            )
    for shard in found["shards"]:
        path = out / shard["name"]
        if not path.is_file() or path.stat().st_size != shard["bytes"]:
            raise DataError(f"{path}: is not as {NAME} says; delete the folder {out} and write it again")
    return found


class Rows:
    """The samples of a source from row `start` on, packed; the next one can be looked at before it is taken."""

    def __init__(
        self,
        source: Source,
        start: int,
        progress: Callable[[Iterable[int]], Iterable[int]],
        bad: BinaryIO,
        seen: SeenPictures,
        limits: Limits,
    ):
        self.source, self.bad, self.seen, self.limits, self.counted = source, bad, seen, limits, 0
        self.position = start
        self._rows, self._next = iter(progress(range(start, len(source)))), None

    def peek(self) -> Packed | None:
        """The next Packed, or None at the end; `position` is then its row. Bad rows before it are listed."""
        while self._next is None:
            row = next(self._rows, None)
            if row is None:
                self.position = len(self.source)
                return None
            try:
                sample = read_row(self.source, row)
                packed = pack(sample, row, self.limits)
                self.seen.check(self.source, sample, row)
                self._next, self.position = packed, row
            except DataError as error:
                self.counted += 1
                self.bad.write(f"{error}\n".encode())
        return self._next

    def take(self) -> Packed:
        """The next Packed, which `peek` has shown."""
        taken, self._next = self._next, None
        return taken

    def take_bad(self) -> int:
        """How many rows were bad since the last call."""
        counted, self.counted = self.counted, 0
        return counted


def write_shard(samples: Rows, out: Path, number: int, per_shard: int, size_limit: int) -> dict[str, Any]:
    """Write one tar, as a whole or not at all; its entry for index.json."""
    name, start, count, captions, size = f"{number:05d}.tar", samples.position, 0, 0, 0
    with atomic_file(out / name) as handle:
        hashing = HashingFile(handle)
        with tarfile.open(fileobj=hashing, mode="w|", format=tarfile.USTAR_FORMAT) as tar:
            while (sample := samples.peek()) is not None and count < per_shard:
                if count and size + len(sample) + MEMBER_BYTES > size_limit:
                    break
                for member, content in samples.take().members:
                    about = tarfile.TarInfo(member)
                    about.size, about.mode = len(content), 0o644
                    tar.addfile(about, io.BytesIO(content))
                count, captions, size = count + 1, captions + sample.captions, size + len(sample)
    return {
        "name": name,
        "samples": count,
        "captions": captions,
        "bytes": hashing.bytes,
        "sha256": hashing.hash.hexdigest(),
        "rows": [start, samples.position],
    }


def pack(sample: Sample, row: int, limits: Limits) -> Packed:
    """The Packed of a sample; raises RowError for an image that cannot be used or is over the limit of a tar member."""
    image = sample.image
    if isinstance(image, Path):
        try:
            image = image.read_bytes()
        except OSError as error:
            if exhausted(error):
                raise
            reason, fix = f"{image} cannot be read ({error.strerror or error})", "put the file back or delete the row"
            raise RowError(sample.where, "missing image", reason, advice(error, fix)) from None
    elif isinstance(image, np.ndarray):
        image = png(image)
    if len(image) > LIMITS[IMAGE]:
        raise RowError(sample.where, "image too large", f"the image has {len(image):,} bytes", "shrink it to 64 MiB")
    picture_sides(sample, limits=limits)
    return Packed(f"{row:09d}{suffix_of(image)}", image, document_of(sample), len(sample.texts))


def png(rgb: np.ndarray) -> bytes:
    """PNG bytes of RGB uint8 [H, W, 3]: drawn images have no bytes of their own."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


def parse_size(text: str) -> int:
    """Bytes of `1GB`, `500MB`, `64MiB` or a plain number; ConfigError for anything else."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([KMG]i?B)?", str(text).strip(), re.IGNORECASE)
    if not match:
        raise ConfigError(f"--size-limit is {quoted(text)}; write a size such as 1GB, 500MB or 64MiB")
    return int(min(float(match[1]) * UNITS[(match[2] or "").upper()], MOST_SIZE))
