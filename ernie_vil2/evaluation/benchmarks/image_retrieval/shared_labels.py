"""Image retrieval by labels: an image of the database is relevant to a query when they share one; the metric is mAP@K.

`image-retrieval@nus-wide` and `image-retrieval@coco`, each from the files of its authors (`label_files.py`) or from the
lists of the hashing papers (test.txt and database.txt); `image-retrieval` alone runs both where they are found.
"""

import numpy as np

from ....errors import ConfigError, DataError
from ...metrics.similarity import mean_average_precision, pack_labels
from ...runs.results import Outcome, Result
from ..reading import Reading, check_options, encode_images, find, is_folder, missing, note_skipped, set_of
from .label_files import coco_splits, nus_wide_splits, read_coco, read_list, read_nus_wide

OPTIONS = ("database", "queries", "concepts", "allow_counts", "skip_broken", "window", "images")
KS = (100, 1000, 5000)
SETS = ("nus-wide", "coco")
LISTS = {"queries": ("test.txt", "query.txt"), "database": ("database.txt", "db.txt")}
FOLDERS = {"nus-wide": ("nus-wide", "nus_wide", "NUS-WIDE"), "coco": ("coco", "COCO", "mscoco")}
SOURCES = {
    "nus-wide": "download image list, ground truth and concepts of NUS-WIDE from its page at the National University "
    "of Singapore, which sends the images after an agreement form",
    "coco": "download annotations_trainval2017.zip (or 2014) and the images of that split from COCO's page",
}


def evaluate(model, name, data, *, split="test", progress=None, **options):
    """The Outcome of `image-retrieval` or `image-retrieval@SET`: mAP@100, @1000 and @5000 in percent.

    A depth over the number of candidates is left out; with fewer than 5,000 candidates `map@all` ranks all of them.
    Images without a label are no queries but stay in the database. A query is never its own candidate.

    split: for COCO's JSON the year may be added, `val2014` (`test` means val2017 or val2014, whichever is there).
    options: database ("train" or "self", each query against the other images of its split; default train for NUS-WIDE,
    self for COCO; lists have their own), queries (at most that many, evenly spaced), concepts (NUS-WIDE: only the most
    frequent ones, 21 in the hashing papers), images (folder of the images), allow_counts (other numbers of images than
    published are a note), skip_broken (leave out images that are missing or broken), window (images encoded together).
    Raises ConfigError and DataError.
    """
    check_options(options, OPTIONS)
    data, wanted = is_folder(data), set_of(name, "image-retrieval", SETS, [("nuswide", "nus-wide"), ("mscoco", "coco")])
    if options.get("database") not in (None, "train", "self"):
        raise ConfigError(f"database is {options['database']!r}, but it must be 'train' or 'self'")
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


def holds(key, folder):
    """Whether a folder has any of the forms of a set."""
    if all(find([folder], names) for names in LISTS.values()):
        return True
    return bool(nus_wide_splits(folder) if key == "nus-wide" else coco_splits(folder))


def read_set(key, folder, split, reading, options):
    """(queries, database) as LabelledImages; they are one object where the database is the split itself."""
    lists = [find([folder], names) for names in LISTS.values()]
    if all(lists):
        if options.get("concepts") or options.get("database"):
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
    against = options.get("database") or ("train" if key == "nus-wide" else "self")
    reader = read_nus_wide if key == "nus-wide" else read_coco
    if key == "coco" and options.get("concepts"):
        raise ConfigError("concepts belongs to nus-wide; leave it out")
    first = pick(present, split, folder, SOURCES[key])
    queries = reader(folder, first, reading, options)
    if against == "self":
        reading.notes.append(f"queries: {first}; the database of a query is the rest of that split")
        return queries, queries
    second = pick(present, first.lower().replace("test", "train").replace("val", "train"), folder, SOURCES[key])
    reading.notes.append(f"queries: {first}; database: {second}")
    database = reader(folder, second, reading, {**options, "concept_names": queries.names})
    if queries.names != database.names:
        raise DataError(f"{folder}: {first} and {second} have different labels; take files that belong together")
    return queries, database


def pick(present, split, folder, source):
    """The published split that `split` means."""
    asked = split.lower()
    for name in present:
        if name.lower() == asked or name.lower().startswith(asked) or (asked == "test" and name.startswith("val")):
            return name
    raise missing(folder, [f"label file of the split {split}"], f"it has those of {', '.join(present)}; {source}")


def measure(model, name, queries, database, reading, progress, options):
    """The Result of one set; an image that is query and candidate is encoded once."""
    asks = np.flatnonzero(queries.marks.any(axis=1))
    if options.get("queries") and options["queries"] < len(asks):
        asks = asks[np.linspace(0, len(asks) - 1, int(options["queries"])).round().astype(np.int64)]
        reading.notes.append(f"only {len(asks):,} of the queries, evenly spaced")
    rows, images, places = {}, [], []

    def row_of(source, row):
        path = source.paths[row]
        if path not in rows:
            rows[path] = len(images)
            images.append(path)
            places.append((source, row))
        return rows[path]

    def where(position):
        source, row = places[position]
        return source.where(row)

    base_rows = np.array([row_of(database, row) for row in range(len(database.paths))], np.int64)
    query_rows = np.array([row_of(queries, row) for row in asks], np.int64)
    skipped = []
    embeds, good = None, np.zeros(len(images), bool)
    for positions, part in encode_images(model, images, where, options, skipped, progress):
        if embeds is None:
            embeds = np.zeros((len(images), part.shape[1]), np.float32)
        embeds[positions], good[positions] = part, True
    note_skipped(skipped, "images", reading)
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
    column = np.full(len(images), -1, np.int64)
    column[base_rows] = np.arange(len(base_rows))
    own = column[query_rows]
    candidates = len(base_rows) - int((own >= 0).any())
    depths = [k for k in KS if k <= candidates]
    if candidates < KS[-1] and candidates not in depths:
        depths.append(candidates)
    whole = np.array_equal(base_rows, np.arange(len(base_rows)))  # then a view will do instead of a copy
    held = embeds[: len(base_rows)] if whole else embeds[base_rows]
    figures = mean_average_precision(
        embeds[query_rows], held, pack_labels(queries.marks[asks]), pack_labels(database.marks[base]), depths, own
    )
    metrics = {f"map@{k}" if k in KS else "map@all": value for k, value in figures.items()}
    reading.notes.insert(
        0,
        f"headline metric {list(metrics)[-1]}; the average precision is over the relevant images found in the first K",
    )
    counts = {"queries": len(asks), "database": len(base_rows), "labels": queries.marks.shape[1]}
    return Result(name, "image-retrieval", metrics, counts, notes=tuple(reading.notes))
