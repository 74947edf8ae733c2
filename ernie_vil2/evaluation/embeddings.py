"""Embeddings of images and texts that belong together: the record, and its readers."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError

import numpy as np

from ..errors import DataError
from ..files import text as text_files
from ..files.stand_ins import stand_in_at
from ..messages import counted

FILES = ("image.npy", "image_ids.txt", "text.npy", "text_ids.txt")
TEXT_KEYS = "text_keys.npy"
UNREADABLE = (
    ValueError,
    OSError,
    EOFError,
    OverflowError,
    TypeError,
    SyntaxError,
    TokenError,
    RecursionError,
    MemoryError,
)
"""What NumPy raises for a file that is no array, or whose header lies"""
APART = "\n"
"""Between an id and the digest of its picture, while pictures of an id are kept apart: no id has a line break"""
TEXTLESS = (
    "image has no text; it is a candidate but asks nothing",
    "images have no text; they are candidates but ask nothing",
)


@dataclass
class Embeddings:
    """What retrieval is measured on."""

    image: np.ndarray
    """[N, D], one row per distinct image"""
    text: np.ndarray
    """[M, D]"""
    text_image: np.ndarray
    """int64 [M], the row in `image` of each text"""
    pairs_image: np.ndarray | None = None
    """[M, D] the image row beside each text of a text file, for `official`; else None"""
    notes: tuple[str, ...] = ()
    """what a reader of the figures should know"""
    image_ids: tuple[str, ...] = ()
    """the id of every row in `image`, where a source was encoded"""
    text_keys: np.ndarray | None = None
    """int64 [M], the same for equal texts, which are then right for each other's images; None: not known"""
    image_rows: np.ndarray | None = None
    """int64 [N], where a source was encoded: the row that each image was taken from"""
    text_rows: np.ndarray | None = None
    """int64 [M, 2], where a source was encoded: (row, number in the row) of each text"""
    pictures: np.ndarray | None = None
    """int64 [N], where a source was encoded: a digest of each picture"""
    left_out: int = 0
    """how many rows were left out"""


def read_embeddings(path: str | Path, ids: str | Path | None = None) -> Embeddings:
    """Embeddings from a directory that holds FILES, or from the release's text file.

    ids: for a text file, a file with the image id of every line, so that `standard` knows which rows show one
    image; without it every line is an image of its own. Raises DataError naming file and line.
    """
    path = Path(path)
    if path.is_dir():
        if ids is not None:
            raise DataError(f"{path} is a directory and has its own ids; leave out the ids file")
        return read_directory(path)
    if not path.is_file():
        raise DataError(f"no embeddings at {path}; give the output of ernie-vil2 encode, a directory or a text file")
    if path.suffix in (".npy", ".npz"):
        raise DataError(f"{path} is one array; give the directory that holds {', '.join(FILES)}")
    return read_text_file(path, ids)


def read_directory(path: Path) -> Embeddings:
    """Embeddings from the default output of ernie-vil2 encode; arrays are mapped, not read."""
    missing = [name for name in FILES if not (path / name).is_file()]
    for side, other in ((FILES[:2], FILES[2:]), (FILES[2:], FILES[:2])):
        if set(missing) == set(other):
            held, lacked = (names[0].removesuffix(".npy") + "s" for names in (side, other))
            raise DataError(f"{path} holds {held} alone, and retrieval needs {lacked} too; encode again without --only")
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}; an embeddings directory holds {', '.join(FILES)}")
    arrays = {}
    for name in ("image", "text"):
        arrays[name] = open_array(path / f"{name}.npy")
    image_ids, text_ids = read_lines(path / "image_ids.txt"), read_lines(path / "text_ids.txt")
    for name, lines in (("image", image_ids), ("text", text_ids)):
        if arrays[name].ndim != 2 or len(arrays[name]) != len(lines):
            raise DataError(
                f"{path / name}.npy has shape {list(arrays[name].shape)} but {name}_ids.txt has "
                f"{len(lines)} lines; one of them is truncated, encode again"
            )
    row = {key: index for index, key in enumerate(image_ids)}
    if len(row) != len(image_ids):
        twice = next(key for index, key in enumerate(image_ids) if row[key] != index)
        raise DataError(f"{path}/image_ids.txt names image {twice!r} twice; keep one row per image")
    orphans = [index for index, key in enumerate(text_ids) if key not in row]
    if orphans:
        raise DataError(
            f"{path}/text_ids.txt, line {orphans[0] + 1}: image {text_ids[orphans[0]]!r} is not in "
            f"image_ids.txt, {len(orphans)} of {len(text_ids)} texts in all; "
            "remove these texts or encode again"
        )
    owner = np.array([row[key] for key in text_ids], dtype=np.int64)
    notes = lonely_images(len(image_ids), owner)
    keys, said = read_text_keys(path, len(text_ids))
    return Embeddings(arrays["image"], arrays["text"], owner, notes=(*notes, *said), text_keys=keys)


def lonely_images(images: int, owner: np.ndarray) -> tuple[str, ...]:
    """A note on how many images have no text, where some have none; owner: int64 [M], the image of each text."""
    lonely = images - len(np.unique(owner))
    return (f"{counted(lonely, *TEXTLESS)}",) if lonely else ()


def read_text_keys(path: Path, texts: int) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """(int64 [texts] of an embeddings directory, notes); None where an earlier version wrote it, without keys."""
    if not (path / TEXT_KEYS).is_file():
        return None, (
            f"{path} has no {TEXT_KEYS}, so equal texts of different images are not known and count as wrong for each "
            "other's images; encode again to have them counted as right",
        )
    keys = np.array(open_array(path / TEXT_KEYS))
    if keys.shape != (texts,) or keys.dtype != np.int64:
        raise DataError(
            f"{path / TEXT_KEYS} holds {keys.dtype} of shape {list(keys.shape)} but text_ids.txt has {texts} lines; "
            "one of them is truncated, encode again"
        )
    return keys, shared_texts(keys)


def open_array(path: Path) -> np.ndarray:
    """The array of a .npy file, mapped and not read; DataError for what NumPy cannot read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            return np.lib.format.open_memmap(path, mode="r")
    except UNREADABLE as error:
        raise DataError(
            f"{path} {stand_in_at(path) or f'is not a plain NumPy array ({error}); encode again'}"
        ) from None


def shared_texts(keys: np.ndarray) -> tuple[str, ...]:
    """A note on how many texts repeat an earlier one, where some do; equal keys are equal texts."""
    repeated = len(keys) - len(np.unique(keys))
    if not repeated:
        return ()
    return (
        f"{repeated:,} of {len(keys):,} texts repeat an earlier one; `standard` counts every equal text as right, "
        "`official` only the one of its row",
    )


def read_lines(path: str | Path) -> list[str]:
    """Lines of a UTF-8 file without their ends; DataError when it is not text."""
    try:
        return text_files.read_lines(path)
    except OSError as error:
        raise DataError(f"cannot read {path} as lines of UTF-8 text: {error}") from None


def read_text_file(path: Path, ids: str | Path | None = None) -> Embeddings:
    """Embeddings from lines `text vector TAB image vector TAB 1`, numbers separated by blanks.

    Numbers are read as float64 and rounded to float32, as the release does. Not normalised here: the official
    protocol takes them as they stand.
    """
    columns = ([], [])
    for number, line in enumerate(text_files.byte_lines(path), 1):
        parts = line.split(b"\t")
        if len(parts) != 3:
            raise DataError(
                f"{path}, line {number}: {len(parts)} fields separated by tabs instead of 3 "
                "(text vector, image vector, 1); this is not the release's embeddings format"
            )
        for column, field, what in zip(columns, parts, ("text", "image"), strict=False):
            try:
                row = np.array([float(value) for value in field.split()]).astype(np.float32)
            except ValueError as error:
                raise DataError(
                    f"{path}, line {number}: the {what} vector holds something else than numbers "
                    f"({str(error)[:80]}); encode this row again"
                ) from None
            if not row.size or (column and row.shape != column[0].shape):
                wanted = f"line 1 has {len(column[0])}" if column else "a vector is needed"
                raise DataError(
                    f"{path}, line {number}: the {what} vector has {row.size} numbers, {wanted}; "
                    "the file may be truncated, encode again"
                )
            column.append(row)
    if not columns[0]:
        raise DataError(f"{path} is empty; there is nothing to evaluate")
    text, image = (np.stack(column) for column in columns)
    notes, copies = (), len(text) - len({row.tobytes() for row in text})
    if copies:
        notes = (
            f"{copies} rows repeat another row's text vector, and a text file does not say which texts are equal; to "
            "have equal texts counted as right, encode into a directory",
        )
    if ids is None:
        copies = len(image) - len({row.tobytes() for row in image})
        note = f"{copies} rows repeat another row's image vector; for the standard protocol give the image ids"
        return Embeddings(image, text, np.arange(len(text)), notes=(note, *notes) if copies else notes)
    keys = read_lines(ids)
    if len(keys) != len(text):
        raise DataError(f"{ids} has {len(keys)} lines but {path} has {len(text)}; give the image id of every line")
    first, owner = {}, np.empty(len(keys), dtype=np.int64)
    for index, key in enumerate(keys):
        owner[index] = first.setdefault(key, (len(first), index))[0]
    return Embeddings(image[[index for _, index in first.values()]], text, owner, pairs_image=image, notes=notes)
