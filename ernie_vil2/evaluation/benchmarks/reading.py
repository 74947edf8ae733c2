"""What the readers of published files share: rows of text, checksums, missing files, names of sets and splits."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ...data.sources.lines import LineFile
from ...data.sources.rows.texts import decode_utf8
from ...errors import ConfigError, DataError, advice, nearest
from .benchmark_folder import readable

CHUNK_BYTES = 1 << 20


class Reading:
    """What was read for a result: a checksum over all files and names, and sentences for a reader."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.notes: list[str] = []

    def file(self, path: str | Path) -> str | Path:
        """Add the content of a file and return its path."""
        try:
            with open(path, "rb") as handle:
                while chunk := handle.read(CHUNK_BYTES):
                    self._hash.update(chunk)
        except OSError as error:
            raise DataError(
                f"{path}: cannot be read ({error.strerror or error}); {advice(error, 'give a readable file')}"
            ) from None
        return path

    def text(self, text: str) -> None:
        """Add a text, such as the name of an image."""
        self._hash.update(text.encode("utf-8", "surrogateescape") + b"\0")

    @property
    def sha256(self) -> str:
        """The checksum of all that was read so far."""
        return self._hash.hexdigest()


def rows(path: str | Path, reading: Reading) -> Iterator[tuple[str, str]]:
    """Yield (`file:line`, text) of the lines that are not blank; UTF-8 with or without BOM, LF or CRLF.

    Raises DataError for a file that is empty or not UTF-8 text, naming file and line.
    """
    for line, fetch in LineFile(reading.file(path)).walk():
        raw = fetch(1).removesuffix(b"\n").removesuffix(b"\r")
        if raw.strip():
            where = f"{path}:{line + 1}"
            yield where, decode_utf8(raw, where, "line")


def find(folders: Iterable[str | Path], names: Sequence[str]) -> Path | None:
    """The first existing file or folder of `names` in the first of `folders` that holds one, else None."""
    for folder in folders:
        for name in names:
            try:
                if Path(folder, name).exists():
                    return Path(folder, name)
            except PermissionError as error:
                raise DataError(
                    f"{error.filename}: cannot be read ({error.strerror or error}); "
                    + advice(error, "correct the permissions of its folder")
                ) from None
    return None


def is_folder(data: str | Path) -> Path:
    """The benchmark's folder as a Path; DataError when it is none."""
    data = Path(data)
    if not data.is_dir():
        raise DataError(f"{data} is not a folder; give the one that holds the benchmark's files")
    readable(data)
    return data


def missing(folder: str | Path, names: Iterable[str], source: str) -> DataError:
    """The DataError for files that are not there: what was looked for, and where it is obtained."""
    return DataError(f"{folder} has no {' or '.join(names)}; {source}")


def set_of(name: str, benchmark: str, known: Iterable[str], aliases: Iterable[tuple[str, str]] = ()) -> str | None:
    """The set in a benchmark's name: `sts@lcqmc` -> lcqmc, None for the bare name; ConfigError with the nearest."""
    head, _, wanted = name.partition("@")
    if head != benchmark:
        raise ConfigError(f"{name!r} does not belong to {benchmark}; write {benchmark} or {benchmark}@SET")
    wanted = dict(aliases).get(wanted.lower(), wanted.lower())
    if wanted and wanted not in known:
        close = nearest(wanted, known)
        raise ConfigError(
            f"{benchmark} has no set {wanted!r}; "
            + (f"did you mean {close!r}?" if close else f"it has {', '.join(known) or 'none'}")
        )
    return wanted or None


def check_split(split: str, known: Sequence[str], what: str) -> None:
    """ConfigError for a split that a set does not have."""
    if split not in known:
        raise ConfigError(f"{what} has no split {split!r}; take one of {', '.join(known)}")
