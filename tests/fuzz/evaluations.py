"""What is measured and what measuring left: embeddings, run folders, detections, names of classes, benchmarks."""

import functools
import io
import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ernie_vil2.data.tagging.detections import entries, read_entry
from ernie_vil2.data.tagging.labels import read_labels
from ernie_vil2.errors import CheckpointError, ConfigError, DataError
from ernie_vil2.evaluation.benchmarks.registry import read_sets
from ernie_vil2.evaluation.compare.markdown import to_markdown
from ernie_vil2.evaluation.compare.tables import as_json, compare_runs
from ernie_vil2.evaluation.embeddings import read_embeddings
from ernie_vil2.evaluation.runs.records import Outcome, Result
from ernie_vil2.evaluation.runs.results import read_run, write_run
from tests.evaluation.benchmarks import makers
from tests.fuzz.damage import damaged
from tests.fuzz.example import Example
from tests.fuzz.judge import Target, wrong_sentence
from tests.fuzz.sources import spoilt_bytes
from tests.fuzz.values import changed_value, json_text, odd_near, spoilt_json
from tests.fuzz.weight_files import Files, contents

MAKERS: dict[str, Callable[[Path], object]] = {
    "coco-cn": makers.coco_cn,
    "flickr30k-cn": makers.flickr30k_cn,
    "muge": makers.muge,
    "aic-icc": makers.aic_icc,
    "cbvs": makers.cbvs,
    "flickr30k": lambda folder: makers.karpathy(folder, "flickr30k"),
    "mscoco": lambda folder: makers.karpathy(folder, "mscoco"),
}
HEADERS = (b"|O", b"<f8", b"<f2", b">f4", b"|S9", b"<i8", b"|b1", b"<U3", b"<c8")
DETECTIONS = [
    {"id": "1", "labels": ["cat", 18], "scores": [0.9, 0.5], "boxes": [[0, 0, 9, 9], [1, 1, 3, 3]]},
    {"image_id": 2, "category_id": 17, "bbox": [0, 0, 4, 4], "score": 0.8},
    {"id": "3", "error": "broken"},
]
LABELS = (
    {"categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]},
    ["cat", "dog"],
    {"0": "cat", "1": "dog"},
)


def embedded(example: Example, folder: object) -> None:
    read_embeddings(example.told["path"], example.told["ids"])


def compared(example: Example, folder: object) -> None:
    """Compare two run folders and draw the table."""
    comparison = compare_runs([read_run("one"), read_run("two")])
    to_markdown(comparison)
    json.dumps(as_json(comparison))


def detected(example: Example, folder: object) -> None:
    """Read every detection; those that are wrong say so in a sentence."""
    names = read_labels("coco")
    for where, entry in entries("det.jsonl", example.told["by_file"]):
        try:
            read_entry(entry, names, where)
        except DataError as error:
            if wrong_sentence(str(error)):
                raise


def labelled(example: Example, folder: object) -> None:
    names = read_labels(example.told["path"], example.told["chinese"], example.told["language"], example.told["first"])
    for number in (0, 1, "cat", 1.5, 10**20):
        try:
            names.name(number, "x")
        except DataError as error:
            if wrong_sentence(str(error)):
                raise


def benchmarked(example: Example, folder: object) -> None:
    read_sets(example.told["name"], ".", example.told["split"], True)


ERRORS = (DataError, ConfigError, CheckpointError)
TARGETS = {
    "embeddings": Target(embedded, ERRORS),
    "run folders": Target(compared, ERRORS),
    "detections": Target(detected, ERRORS),
    "labels": Target(labelled, ERRORS),
    "benchmark": Target(benchmarked, ERRORS),
}


def make(rng: random.Random) -> Example:
    return rng.choice((of_embeddings, of_runs, of_detections, of_labels, of_benchmark))(rng)


def of_embeddings(rng: random.Random) -> Example:
    files = {"emb/image_ids.txt": b"a\nb\n", "emb/text_ids.txt": b"a\nb\nb\n", "ids.txt": b"a\nb\n"}
    for name, array in (("image", np.eye(2)), ("text", np.eye(3, 2)), ("text_keys", np.arange(3))):
        array = array.astype(np.uint64 if name == "text_keys" else np.float32)
        files[f"emb/{name}.npy"] = spoilt_array(rng, array) if rng.randrange(3) == 0 else saved(array)
    files["emb.txt"] = b"0.1 0.2\t0.3 0.4\t1\n0.5 0.1\t0.2 0.9\t1\n"
    name = rng.choice(list(files))
    files[name] = rng.choice((damaged(rng, files[name]), spoilt_bytes(rng, files[name].decode("latin-1")), b""))
    path = rng.choice(("emb", "emb", "emb", "emb.txt"))
    return Example(
        "embeddings", files, {"path": path, "ids": rng.choice((None, "ids.txt")) if path == "emb.txt" else None}
    )


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def spoilt_array(rng: random.Random, array: np.ndarray) -> bytes:
    """The file of an array whose header says another type, shape or order, or whose values are none."""
    data = saved(array)
    way = rng.randrange(5)
    if way == 0:
        return data.replace(b"<f4", rng.choice(HEADERS)).replace(b"<u8", rng.choice(HEADERS))
    if way == 1:
        shape = rng.choice(
            (b"(-1, 2)", b"(99999999999, 2)", b"()", b"(2,)", b"(1 << 60,)", b"(2, 2, 2)", b"'x'", b"[2, 2]")
        )
        start = data.index(b"(", 10)
        return data[:start] + shape + data[data.index(b")", start) + 1 :]
    if way == 2:
        return data.replace(b"False", b"True ")
    if way == 3:
        odd = array.astype(np.float64)
        odd.flat[rng.randrange(odd.size)] = rng.choice((np.nan, np.inf, -np.inf, 1e300, 0))
        with np.errstate(all="ignore"):
            return saved(odd.astype(rng.choice((array.dtype, np.float64, np.float16))))
    return saved(np.array([["x", 1]], dtype=object)) if rng.randrange(2) else data[: rng.randrange(len(data))]


@functools.cache
def run_folders() -> Files:
    """Two run folders, `one` and `two`."""
    origin = {
        "command": "eval x",
        "data_sha256": "1",
        "model_sha256": "2",
        "config_sha256": "3",
        "versions": {"a": "1"},
    }
    found = {}
    for name, value in (("one", 12.5), ("two", 50.0)):
        rows = [Result("coco-cn@1053", "retrieval", {"t2i_r1": value}, {"images": 3}, notes=("one",))]
        rows.append(Result("sts@x", "sts", {"spearman": 0.5}, {"pairs": 9}))
        with tempfile.TemporaryDirectory() as place:
            write_run(Path(place, name), Outcome(rows, "ab" * 32), origin)
            found |= contents(Path(place))
    return found


def of_runs(rng: random.Random) -> Example:
    files = dict(run_folders())
    name = rng.choice(list(files))
    files[name] = spoilt_json(rng, json.loads(files[name]))
    return Example("run folders", files)


def of_detections(rng: random.Random) -> Example:
    by_file = not rng.randrange(2)
    content: object = DETECTIONS
    if rng.randrange(2):
        content = {"annotations": DETECTIONS, "images": [{"id": 2, "file_name": "a.jpg"}]}
    if rng.randrange(2):
        lines = [json_text(changed_value(rng, row) if rng.randrange(2) else row) for row in DETECTIONS]
        return Example("detections", {"det.jsonl": spoilt_bytes(rng, "\n".join(lines))}, {"by_file": by_file})
    return Example("detections", {"det.jsonl": spoilt_json(rng, content)}, {"by_file": by_file})


def of_labels(rng: random.Random) -> Example:
    text = "cat,kitten\t猫\ndog\t狗\n"
    files = {
        "names.json": spoilt_json(rng, rng.choice(LABELS)),
        "names.txt": spoilt_bytes(rng, text),
        "zh.txt": spoilt_bytes(rng, "猫\n狗\n"),
    }
    told = {
        "path": rng.choice((*files, "coco", "coco80", None)),
        "chinese": rng.choice((None, "zh.txt")),
        "language": rng.choice(("zh", "en")),
        "first": rng.choice((0, 0, 1, -1, 10**30)),
    }
    return Example("labels", files, told)


@functools.cache
def benchmark_files(name: str) -> Files:
    with tempfile.TemporaryDirectory() as place:
        MAKERS[name](Path(place))
        return contents(Path(place))


def of_benchmark(rng: random.Random) -> Example:
    name = rng.choice(list(MAKERS))
    files = dict(benchmark_files(name))
    listed = [path for path in files if not path.endswith((".jpg", ".png", ".mdb"))]
    for _ in range(rng.choice((1, 1, 2))):
        path = rng.choice(listed if listed and rng.randrange(8) else list(files))
        data = files.get(path, b"")
        if rng.randrange(12) == 0:
            files.pop(path, None)
        elif path.endswith(".json") and json_of(data) is not None:
            files[path] = spoilt_json(rng, json_of(data))
        else:
            files[path] = damaged(rng, data) if rng.randrange(2) else spoilt_lines(rng, data)
    told = {"name": rng.choice((name, name, f"{name}@5k")), "split": rng.choice((None, None, "train", "test", "x"))}
    return Example("benchmark", files, told)


def json_of(data: bytes) -> object:
    """The value in a file, or None where it is damaged already."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def spoilt_lines(rng: random.Random, data: bytes) -> bytes:
    """A table with one cell of one line changed."""
    lines = data.decode("utf-8", "replace").split("\n")
    at = rng.randrange(len(lines))
    cells = lines[at].split("\t")
    place = rng.randrange(len(cells))
    cells[place] = str(odd_near(rng, cells[place]))[:5000]
    lines[at] = "\t".join(cells)
    return spoilt_bytes(rng, "\n".join(lines))
