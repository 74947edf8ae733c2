"""What the readers of published files share: rows of text, checksums, counts, missing files, images in windows."""

import hashlib
from pathlib import Path

import numpy as np

from ...data.sources.fields import decode_utf8
from ...data.sources.lines import LineFile
from ...errors import ConfigError, DataError, nearest
from ..metrics.finite import finite
from ..retrieval import keep_or_raise
from .benchmark_folder import readable

IMAGE_WINDOW = 256
"""Images given to the model at a time."""
CHUNK_BYTES = 1 << 20
NUMBERS = ("window", "queries", "concepts")


class Reading:
    """What was read for a result: a checksum over all files and names, and sentences for a reader."""

    def __init__(self):
        self._hash = hashlib.sha256()
        self.notes = []

    def file(self, path):
        """Add the content of a file and return its path."""
        try:
            with open(path, "rb") as handle:
                while chunk := handle.read(CHUNK_BYTES):
                    self._hash.update(chunk)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); give a readable file") from None
        return path

    def text(self, text):
        """Add a text, such as the name of an image."""
        self._hash.update(text.encode("utf-8", "surrogateescape") + b"\0")

    @property
    def sha256(self):
        return self._hash.hexdigest()


def rows(path, reading):
    """Yield (`file:line`, text) of the lines that are not blank; UTF-8 with or without BOM, LF or CRLF.

    Raises DataError for a file that is empty or not UTF-8 text, naming file and line.
    """
    for line, fetch in LineFile(reading.file(path)).walk():
        raw = fetch(1).removesuffix(b"\n").removesuffix(b"\r")
        if raw.strip():
            where = f"{path}:{line + 1}"
            yield where, decode_utf8(raw, where, "line")


def find(folders, names):
    """The first existing file or folder of `names` in the first of `folders` that holds one, else None."""
    for folder in folders:
        for name in names:
            try:
                if Path(folder, name).exists():
                    return Path(folder, name)
            except PermissionError as error:
                raise DataError(
                    f"{error.filename}: cannot be read ({error.strerror}); correct the permissions of its folder"
                ) from None
    return None


def is_folder(data):
    """The benchmark's folder as a Path; DataError when it is none."""
    data = Path(data)
    if not data.is_dir():
        raise DataError(f"{data} is not a folder; give the one that holds the benchmark's files")
    readable(data)
    return data


def missing(folder, names, source):
    """The DataError for files that are not there: what was looked for, and where it is obtained."""
    return DataError(f"{folder} has no {' or '.join(names)}; {source}")


def check_count(what, found, expected, allow, reading):
    """Compare a count with the published one (None: unknown); another is an error, or a note when allowed."""
    if expected is None or found == expected:
        return
    text = f"{what}: {found:,} instead of the published {expected:,}"
    if not allow:
        raise DataError(f"{text}; complete the files, or add --allow-counts to measure on what is there")
    reading.notes.append(f"{text}, so figures cannot be compared with published ones")


def set_of(name, benchmark, known, aliases=()):
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


def check_options(options, known):
    """ConfigError for the first option that the benchmark does not know, and for a number below 1."""
    for option, value in options.items():
        if option not in known:
            close = nearest(option, known)
            raise ConfigError(
                f"unknown option {option!r}; "
                + (f"did you mean {close!r}?" if close else f"take one of {', '.join(known)}")
            )
        if option in NUMBERS and value is not None and (type(value) is not int or value < 1):
            raise ConfigError(f"{option} is {value!r}, but it must be a whole number of at least 1")


def check_split(split, known, what):
    """ConfigError for a split that a set does not have."""
    if split not in known:
        raise ConfigError(f"{what} has no split {split!r}; take one of {', '.join(known)}")


def encode_images(model, images, where, options, skipped, progress=None):
    """Yield (positions int64 [n], embeddings float32 [n, D]) of images, each encoded once, a window at a time.

    where: function position -> the place that names the image, `file:line` or the file itself. A broken image raises
    DataError with that place, or is left out and noted in the list `skipped`. options: window, skip_broken. Raises
    CheckpointError for embeddings that are not finite.
    """
    window = options.get("window") or IMAGE_WINDOW
    for start in range(0, len(images), window):
        embeds, failures = model.encode_image(images[start : start + window], on_error="skip")
        for position, reason in failures:
            place = str(where(start + position))
            reason = reason if reason.startswith(place) else f"{place}: {reason}"  # the model names the file itself
            keep_or_raise(DataError(reason), skipped, options.get("skip_broken", False))
        good = np.ones(len(embeds), bool)
        good[[position for position, _ in failures]] = False
        positions = start + np.flatnonzero(good)
        found = finite(np.asarray(embeds)[good], lambda row, positions=positions: where(positions[row]))
        if progress:
            progress(min(start + window, len(images)), len(images))
        yield positions, found


def note_skipped(skipped, what, reading):
    """Tell how many were left out, with the first of them."""
    if skipped:
        reading.notes.append(f"{what} left out: {len(skipped)}, the first: {skipped[0]}")
