"""Every kind of text file that the product reads, in small, with its reader, and the forms in which it is saved."""

import numpy as np

from ernie_vil2.checkpoints.interpolate import words
from ernie_vil2.checkpoints.layouts import any_source
from ernie_vil2.checkpoints.libraries import paddlenlp
from ernie_vil2.config.load import saved_model
from ernie_vil2.data.sources import stem_parts
from ernie_vil2.data.sources.beside import IdFile
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.sources.tar.manifest import read_manifest
from ernie_vil2.data.tagging.detections import entries
from ernie_vil2.data.tagging.labels import read_labels
from ernie_vil2.data.vocabulary_file import read_vocab
from ernie_vil2.evaluation.benchmarks.benchmark_folder import read_json
from ernie_vil2.evaluation.benchmarks.image_retrieval.label_files import label_column
from ernie_vil2.evaluation.benchmarks.reading import Reading, rows
from ernie_vil2.evaluation.benchmarks.retrieval.captions import read_captions, read_ids
from ernie_vil2.evaluation.benchmarks.text_similarity.text_pairs import read_pairs
from ernie_vil2.evaluation.embeddings import read_embeddings
from ernie_vil2.files.yaml_files import read_yaml
from ernie_vil2.inference.outputs import read_record

BOM = b"\xef\xbb\xbf"
FORMS = {
    "mark": lambda raw: BOM + raw,
    "crlf": lambda raw: raw.replace(b"\n", b"\r\n"),
    "mark and crlf": lambda raw: BOM + raw.replace(b"\n", b"\r\n"),
    "lone cr": lambda raw: raw.replace(b"\n", b"\r"),
    "no last end": lambda raw: raw.removesuffix(b"\n"),
    "utf-16": lambda raw: raw.decode().encode("utf-16"),
    "utf-16 big end first": lambda raw: "\ufeff".encode("utf-16-be") + raw.decode().encode("utf-16-be"),
}
IMAGE = "iVBORw0KGgo="
VECTORS = "1 2\t3 4\t1\n5 6\t7 8\t1\n"
PLAIN_CONFIG = "model:\n  max_length: 24\ntrain:\n  steps: 7\n"
SETTINGS = '{"layout_version": 1,\n "a": "狗"}\n'


def with_ids(path):
    (path.parent / "vectors.txt").write_text(VECTORS)
    found = read_embeddings(path.parent / "vectors.txt", path)
    return found.image.tolist(), found.text_image.tolist()


def of_directory(path):
    for name in ("image", "text"):
        np.save(path.parent / f"{name}.npy", np.eye(2, dtype="float32"))
    (path.parent / "image_ids.txt").write_text("七\n八\n", encoding="utf-8")
    (path.parent / "text_ids.txt").write_bytes(path.read_bytes())
    return read_embeddings(path.parent).text_image.tolist()


def samples(path):
    (path.parent / "a.png").write_bytes(b"x")
    return [(sample.id, sample.image, sample.texts, sample.tags) for sample in open_source(path)]


def pairs(path):
    found = read_pairs(path, Reading())
    return found.first, found.second, found.labels.tolist()


WHOLE = {  # name: (file name, text, what is read of it)
    "image ids of an evaluation": ("ids.txt", "七\n七\n", with_ids),
    "ids of embeddings": ("ids.txt", "八\n七\n", of_directory),
    "vocabulary with ids": ("v.txt", "[PAD]\t0\n[CLS]\t1\n[SEP]\t2\n[UNK]\t3\n狗\x0b\t4\n\u2028x\t5\n", read_vocab),
    "vocabulary": ("v.txt", "[PAD]\n[CLS]\n[SEP]\n[UNK]\n狗\x85\n", read_vocab),
    "vocabulary that is compared": ("v.txt", "[PAD]\n狗\n", words),
    "names of classes": ("l.txt", "dog\t狗\ncat\t猫\x0b大\n", lambda path: vars(read_labels(path))["chinese"]),
    "JSON of classes": ("l.json", '["狗",\n "猫"]\n', lambda path: read_labels(path).names),
    "Chinese names": (
        "zh.txt",
        "\n".join(f"名{n}" for n in range(80)) + "\n",
        lambda p: read_labels("coco80", p).chinese,
    ),
    "configuration": ("run.yaml", PLAIN_CONFIG, read_yaml),
    "config.json of a start": ("config.json", SETTINGS, lambda path: saved_model(str(path.parent), "x", "model")),
    "settings of another project": ("config.json", SETTINGS, lambda path: any_source.read_json(path, required=True)),
    "settings of PaddleNLP": ("config.json", SETTINGS, paddlenlp.read_settings),
    "JSON of a benchmark": ("b.json", SETTINGS, read_json),
    "labels of a concept": ("Labels_a_Test.txt", "0\n1\n1\n", lambda p: label_column(p, 3, p, Reading()).tolist()),
    "record of an output": ("run.json", SETTINGS, read_record),
    "index of shards": ("index.json", '{"format": "x"}\n', lambda path: read_manifest(path.parent)),
    "caption beside an image": ("a.txt", "一只\x0b狗\n", lambda p: stem_parts.captions({}, p.read_bytes(), "a")),
    "JSON beside an image": ("a.json", '{"texts": ["狗"]}\n', lambda p: stem_parts.parse(p.read_bytes(), "a")),
}
LINES = {
    "embeddings": ("e.txt", VECTORS, lambda path: read_embeddings(path).text.tolist()),
    "JSON lines": ("a.jsonl", "".join(f'{{"image_base64": "{IMAGE}", "text": "{t}"}}\n' for t in "狗猫"), samples),
    "table": ("a.csv", 'image,text\na.png,狗\na.png,"两行"\n', samples),
    "release's rows": ("a.tsv", f"狗\t1\t{IMAGE}\n猫\t2\t{IMAGE}\n", samples),
    "tags": ("t.jsonl", '{"id": "七", "tags": ["狗"]}\n', lambda path: IdFile(path, "tags").get("七")),
    "boxes": ("b.jsonl", '{"id": "七", "boxes": [[1, 2, 3, 4]]}\n', lambda path: IdFile(path, "boxes").get("七")),
    "detections": ("d.jsonl", '{"id": "七"}\n{"id": "八"}\n', lambda p: [entry for _, entry in entries(p)]),
    "a list of detections": ("d.json", '[\n{"id": "七"}\n]\n', lambda p: [entry for _, entry in entries(p)]),
    "names of a benchmark": ("label_cn.txt", "狗\n猫\n", lambda path: list(rows(path, Reading()))),
    "captions of a benchmark": ("c.txt", "1.jpg#0\t狗\n2.jpg#0\t猫\n", read_captions),
    "ids of a split": ("s.txt", "七\n八\n", read_ids),
    "pairs of texts": ("p.tsv", "狗\t猫\t1\n猫\t猫\t0\n", pairs),
}


def saved(folder, kinds, kind, form=None):
    """(path of a kind's file in a form, its reader)."""
    name, text, read = kinds[kind]
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(FORMS[form](text.encode()) if form else text.encode())
    return folder / name, read
