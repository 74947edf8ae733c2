"""Image retrieval by labels: an image of the database is relevant to a query when they share one; the metric is mAP@K.

`image-retrieval@nus-wide` and `image-retrieval@coco`, each from the files of its authors (`label_files.py`) or from the
lists of the hashing papers (test.txt and database.txt); `image-retrieval` alone runs both where they are found.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import ConfigError, DataError
from ...encoding import Progress, encode_images
from ...left_out import LeftOut
from ...metrics.similarity import mean_average_precision, pack_labels
from ...runs.records import Outcome, Result
from ..benchmark import Benchmark, read_options
from ..reading import Reading, find, is_folder, missing, set_of
from .label_files import LabelledImages, Options, coco_splits, nus_wide_splits, read_coco, read_list, read_nus_wide

if TYPE_CHECKING:
    from ....inference.model import Model

KS = (100, 1000, 5000)
SETS = ("nus-wide", "coco")
LISTS = {"queries": ("test.txt", "query.txt"), "database": ("database.txt", "db.txt")}
FOLDERS = {"nus-wide": ("nus-wide", "nus_wide", "NUS-WIDE"), "coco": ("coco", "COCO", "mscoco")}
SOURCES = {
    "nus-wide": "download image list, ground truth and concepts of NUS-WIDE from its page at the National University "
    "of Singapore, which sends the images after an agreement form",
    "coco": "download annotations_trainval2017.zip (or 2014) and the images of that split from COCO's page",
}


def evaluate(
    model: "Model",
    name: str,
    data: str | Path,
    *,
    split: str = "test",
    progress: Progress | None = None,
    **options: Any,
) -> Outcome:
    """The Outcome of `image-retrieval` or `image-retrieval@SET`: mAP@100, @1000 and @5000 in percent.

    A depth over the number of candidates is left out; with fewer than 5,000 candidates `map@all` ranks all of them.
    Images without a label are no queries but stay in the database. A query is never its own candidate.

    split: for COCO's JSON the year may be added, `val2014` (`test` means val2017 or val2014, whichever is there).
    options: those of the record `label_files.Options`. Raises ConfigError and DataError.
    """
    options = read_options(Options, options, name)
    data, wanted = is_folder(data), set_of(name, "image-retrieval", SETS, [("nuswide", "nus-wide"), ("mscoco", "coco")])
    if options.database not in (None, "train", "self"):
        raise ConfigError(f"database is {options.database!r}, but it must be 'train' or 'self'")
    results, left, total = [], [], Reading()
    for key in [wanted] if wanted else SETS:
        folder = find([data], FOLDERS[key]) or data
        if not wanted and (folder == data or not holds(key, folder)):
            left.append(key)
            continue
        reading = Reading()
        queries, database = read_set(key, folder, split, reading, options)
        results.append(measure(model, f"image-retrieval@{key}", queries, database, reading, progress, options))
        total.text(reading.sha256)
    if not results:
        raise missing(data, ["folder nus-wide", "coco"], "name the set, as in image-retrieval@coco")
    if left:
        results[0].notes += (f"not in {data}: {', '.join(left)}",)
    return Outcome(results, total.sha256)


def holds(key: str, folder: Path) -> bool:
    """Whether a folder has any of the forms of a set."""
    if all(find([folder], names) for names in LISTS.values()):
        return True
    return bool(nus_wide_splits(folder) if key == "nus-wide" else coco_splits(folder))


def read_set(
    key: str, folder: Path, split: str, reading: Reading, options: Options
) -> tuple[LabelledImages, LabelledImages]:
    """(queries, database) as LabelledImages; they are one object where the database is the split itself."""
    lists = [find([folder], names) for names in LISTS.values()]
    if all(lists):
        if options.concepts or options.database:
            raise ConfigError(
                f"{lists[0]} and {lists[1]} say what queries and database are; leave out concepts and database"
            )
        reading.notes.append(f"queries and database are those of {lists[0].name} and {lists[1].name}")
        queries, database = (read_list(path, folder, reading, options) for path in lists)
        if queries.marks.shape[1] != database.marks.shape[1]:
            raise DataError(
                f"{lists[0]} has {queries.marks.shape[1]} labels a line but {lists[1]} "
                f"{database.marks.shape[1]}; take lists that belong together"
            )
        return queries, database
    present = nus_wide_splits(folder) if key == "nus-wide" else coco_splits(folder)
    if not present:
        names = ["ImageList/TestImagelist.txt"] if key == "nus-wide" else ["annotations/instances_val2017.json"]
        raise missing(folder, [*names, "test.txt with database.txt"], SOURCES[key])
    against = options.database or ("train" if key == "nus-wide" else "self")
    if key == "coco" and options.concepts:
        raise ConfigError("concepts belongs to nus-wide; leave it out")
    first = pick(present, split, folder, SOURCES[key])
    queries = read_split(key, folder, first, reading, options)
    if against == "self":
        reading.notes.append(f"queries: {first}; the database of a query is the rest of that split")
        return queries, queries
    second = pick(present, first.lower().replace("test", "train").replace("val", "train"), folder, SOURCES[key])
    reading.notes.append(f"queries: {first}; database: {second}")
    database = read_split(key, folder, second, reading, options, queries.names)
    if queries.names != database.names:
        raise DataError(f"{folder}: {first} and {second} have different labels; take files that belong together")
    return queries, database


def read_split(
    key: str, folder: Path, split: str, reading: Reading, options: Options, concepts: Sequence[str] = ()
) -> LabelledImages:
    """The images of a published split; concepts: those of NUS-WIDE that the queries have."""
    if key == "nus-wide":
        return read_nus_wide(folder, split, reading, options, concepts)
    return read_coco(folder, split, reading, options)


def pick(present: list[str], split: str, folder: Path, source: str) -> str:
    """The published split that `split` means."""
    asked = split.lower()
    for name in present:
        if name.lower() == asked or name.lower().startswith(asked) or (asked == "test" and name.startswith("val")):
            return name
    raise missing(folder, [f"label file of the split {split}"], f"it has those of {', '.join(present)}; {source}")


class DistinctImages:
    """The images of queries and of a database, each once, in the order in which they are first asked for."""

    def __init__(self) -> None:
        self.paths: list[Path] = []
        self._rows: dict[Path, int] = {}
        self._places: list[tuple[LabelledImages, int]] = []

    def rows(self, source: LabelledImages, wanted: Iterable[int]) -> np.ndarray:
        """int64 [n]: the rows here of the `wanted` rows of a source."""
        found = []
        for row in wanted:
            path = source.paths[row]
            if path not in self._rows:
                self._rows[path] = len(self.paths)
                self.paths.append(path)
                self._places.append((source, row))
            found.append(self._rows[path])
        return np.array(found, np.int64)

    def where(self, row: int) -> str:
        """The place that names an image."""
        source, own = self._places[row]
        return source.where(own)


def measure(
    model: "Model",
    name: str,
    queries: LabelledImages,
    database: LabelledImages,
    reading: Reading,
    progress: Progress | None,
    options: Options,
) -> Result:
    """The Result of one set; an image that is query and candidate is encoded once."""
    asks, images = asked(queries, reading, options), DistinctImages()
    base_rows = images.rows(database, range(len(database.paths)))
    query_rows = images.rows(queries, asks)
    embeds, good = encoded(model, images, reading, progress, options)
    once = np.unique(base_rows, return_index=True)[1]
    if len(once) < len(base_rows):
        reading.notes.append(f"{len(base_rows) - len(once):,} lines of the database repeat an image and are left out")
    base, keep = np.sort(once[good[base_rows[once]]]), good[query_rows]
    asks, query_rows, base_rows = asks[keep], query_rows[keep], base_rows[base]
    if not len(asks) or len(base_rows) < 2:
        raise DataError(
            f"{name}: {len(asks)} queries with a label and {len(base_rows)} images in the database are too "
            "few; check the files"
        )
    column = np.full(len(images.paths), -1, np.int64)
    column[base_rows] = np.arange(len(base_rows))
    own = column[query_rows]
    whole = np.array_equal(base_rows, np.arange(len(base_rows)))  # then a view will do instead of a copy
    held = embeds[: len(base_rows)] if whole else embeds[base_rows]
    metrics = precisions(embeds[query_rows], held, queries.marks[asks], database.marks[base], own)
    counts = {"queries": len(asks), "database": len(base_rows), "labels": queries.marks.shape[1]}
    return Result(name, "image-retrieval", metrics, counts, notes=(headline(metrics), *reading.notes))


def asked(queries: LabelledImages, reading: Reading, options: Options) -> np.ndarray:
    """int64 [n]: the rows of the images that are asked for: those with a label, or so many of them."""
    asks = np.flatnonzero(queries.marks.any(axis=1))
    if options.queries and options.queries < len(asks):
        asks = asks[np.linspace(0, len(asks) - 1, options.queries).round().astype(np.int64)]
        reading.notes.append(f"only {len(asks):,} of the queries, evenly spaced")
    return asks


def encoded(
    model: "Model", images: DistinctImages, reading: Reading, progress: Progress | None, options: Options
) -> tuple[np.ndarray | None, np.ndarray]:
    """(embeddings float32 [N, D], bool [N] whether an image could be used)."""
    left_out, embeds, good = LeftOut(options.skip_broken), None, np.zeros(len(images.paths), bool)
    for positions, part in encode_images(model, images.paths, images.where, left_out, options.window, progress):
        if embeds is None:
            embeds = np.zeros((len(images.paths), part.shape[1]), np.float32)
        embeds[positions], good[positions] = part, True
    reading.notes.extend(left_out.notes("images"))
    return embeds, good


def precisions(
    queries: np.ndarray, database: np.ndarray, query_marks: np.ndarray, database_marks: np.ndarray, own: np.ndarray
) -> dict[str, float]:
    """{`map@K`: percent} of embeddings [Q, D] and [N, D] with labels bool [Q, L] and [N, L], at the depths that their
    number allows; own: int [Q], the database row that is the query itself, or -1."""
    masks = pack_labels(query_marks), pack_labels(database_marks)
    depths = depths_of(len(database) - int((own >= 0).any()))
    figures = mean_average_precision(queries, database, *masks, depths, own)
    return {f"map@{k}" if k in KS else "map@all": value for k, value in figures.items()}


def headline(metrics: dict[str, float]) -> str:
    """The note that says which of the `precisions` counts, and what it is a mean of."""
    return (
        f"headline metric {list(metrics)[-1]}; the average precision is over the relevant images found in the first K"
    )


def depths_of(candidates: int) -> list[int]:
    """The depths K of mAP@K that so many candidates allow, with all of them where KS goes deeper."""
    depths = [k for k in KS if k <= candidates]
    if candidates < KS[-1] and candidates not in depths:
        depths.append(candidates)
    return depths


BENCHMARKS = {"image-retrieval": Benchmark(evaluate, Options)}
