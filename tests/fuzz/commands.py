"""Command lines of every verb, on small inputs: what is wrong with them is told in the last line."""

import io
import json
import random
import sys
from unittest import mock

import numpy as np

import ernie_vil2
from ernie_vil2.cli import demo, train
from ernie_vil2.cli.main import dispatch
from ernie_vil2.errors import run_tool
from tests.fuzz import source_files
from tests.fuzz.configurations import override, small
from tests.fuzz.damage import damaged
from tests.fuzz.example import Example
from tests.fuzz.judge import Target
from tests.fuzz.source_files import images, rows
from tests.fuzz.values import changed_value, json_text, yaml_text
from tests.fuzz.weight_files import Files, model_files, single_files, vocabulary

COMMANDS = """

data check rows.jsonl
data check rows.jsonl --json out.json --limit 3 --vocab vocab.txt
data check tars --checksums --damaged keep
data shard rows.jsonl out --per-shard 2 --size-limit 1GB
data vocab rows.jsonl out.txt --size 90 --coverage 0.9 --no-lower-case
data tags rows.jsonl out.jsonl det.jsonl --threshold 0.2 --most 3 --match stem --labels coco
data boxes rows.jsonl out.jsonl det.jsonl
data tags rows.jsonl out.jsonl det.jsonl --labels vocab.txt --chinese vocab.txt --first-index 1 --order area --repeat
data split rows.jsonl out1.jsonl out2.jsonl --share 0.5
data pairs coco-cn . out.jsonl --split train --allow-counts
convert model out --no-check
convert model out.pdparams --to release
convert zip.pt out --no-check -o activation=gelu --vocab vocab.txt
convert model out --config model/config.json --no-check --replace
interpolate model model out --share 0.3
export model out --to paddle --max-length 12 --weights average
export model out --to openvino --source rows.jsonl --vocab vocab.txt --replace
download --list
download ernie-vil2-base-vit-zh --offline --output out --timeout 3 --limit 1
eval --embeddings emb --json out.json --protocol both
eval --embeddings emb.txt --ids ids.txt
eval --model model --input rows.jsonl --skip-broken
eval --model model --benchmark coco-cn --data . --split test --allow-counts -o language=en
eval compare runs --format json
eval compare emb model --output out
encode --model model --input rows.jsonl --output out --format npy --batch-size 2 --on-bad stop
encode --model model --input tars --output out.tsv --format release
quantize model --calibrate rows.jsonl --towers image,text --count 40
quantize model --calibrate rows.jsonl --validate tars --keep --vocab vocab.txt
train -c run.yaml --check
train -c run.yaml --check -o train.steps=3
train -c run.yaml --resume auto
train -c run.yaml --doctor
parity model --fixture emb --no-gradients
parity model --published --image a.jpg
demo -c run.yaml --replace
help
--version
trian
data
bench
data chek x
""".splitlines()[1:]
WORDS = (
    "",
    " ",
    "-",
    "--",
    "-1",
    "0",
    "1e9",
    "nan",
    "inf",
    "99999999999999999999",
    "-o",
    "--nonsense",
    "\x1b[2J",
    "\x00",
    "a\nb",
    "\udcff",
    "猫",
    "x" * 9000,
    "..",
    "/",
    ".",
    "/dev/null",
    "none.tsv",
    "model",
    "emb",
    "rows.jsonl",
    "@rows.jsonl",
    "[",
    "*",
    "~",
    "{kind: tar}",
    "scenes:size=2,image_size=8",
    "--help",
    "a.jpg",
    "out/..",
    "%s",
    "%(prog)s",
)


class Started(BaseException):
    """A command came so far that its work began, which is not tried here."""


def begin(*_: object, **__: object) -> None:
    raise Started


def run(example: Example, folder: object) -> object:
    """The exit status of a command line up to where its work starts; "report" where status 1 says what was found."""
    argv = example.told["argv"]
    sys.argv[:] = ["ernie-vil2", *argv]
    starts = (
        mock.patch.object(ernie_vil2, "load", begin),
        mock.patch("ernie_vil2.export.export.exported_model", begin),
        *(mock.patch.object(verb, "import_paddle", begin) for verb in (train, demo)),
    )
    try:
        with starts[0], starts[1], starts[2], starts[3]:
            run_tool(dispatch, argv)
    except Started:
        return 0
    except SystemExit as end:
        reports = argv[:2] == ["data", "check"] if end.code == 1 else not argv
        return 0 if reports else end.code
    raise AssertionError("a command came back from its end")


TARGETS = {"command": Target(run, (), command=True)}


def inputs(rng: random.Random) -> Files:
    """What the commands name."""
    detections = [
        {"id": "1", "labels": ["cat", 18], "scores": [0.9, 0.5], "boxes": [[0, 0, 9, 9], [1, 1, 3, 3]]},
        {"image_id": 2, "category_id": 17, "bbox": [0, 0, 4, 4], "score": 0.8},
    ]
    lines = [json_text(changed_value(rng, row) if rng.randrange(6) == 0 else row) for row in rows()]
    found = [json_text(changed_value(rng, row) if rng.randrange(4) == 0 else row) for row in detections]
    return {
        **images(), **source_files.shards(), **model_files(), **embeddings(),
        "rows.jsonl": "".join(line + "\n" for line in lines).encode("utf-8", "surrogatepass"),
        "det.jsonl": "".join(line + "\n" for line in found).encode("utf-8", "surrogatepass"),
        "vocab.txt": vocabulary(), "zip.pt": single_files()["zip.pt"], "run.yaml": yaml_text(small()).encode(),
        "emb.txt": b"0.1 0.2\t0.3 0.4\t1\n0.5 0.1\t0.2 0.9\t1\n", "ids.txt": b"a\nb\n",
        "runs/results.json": json.dumps({"benchmark": "coco-cn", "results": []}).encode(),
    }  # fmt: skip


def embeddings() -> Files:
    found = {"emb/image_ids.txt": b"a\nb\n", "emb/text_ids.txt": b"a\nb\nb\n"}
    for name, array in (
        ("image", np.eye(2, dtype=np.float32)),
        ("text", np.eye(3, 2, dtype=np.float32)),
        ("text_keys", np.arange(3, dtype=np.uint64)),
    ):
        buffer = io.BytesIO()
        np.save(buffer, array)
        found[f"emb/{name}.npy"] = buffer.getvalue()
    return found


def make(rng: random.Random) -> Example:
    """A command line with words changed, over inputs of which some are damaged."""
    argv, files = rng.choice(COMMANDS).split(), inputs(rng)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        way, at = rng.randrange(7), rng.randrange(len(argv) + 1)
        if way == 0 and at < len(argv):
            del argv[at]
        elif way == 1:
            argv.insert(at, rng.choice(WORDS))
        elif way == 2 and argv:
            argv.insert(at, rng.choice(argv))
        elif way == 3 and argv[:1] in (["train"], ["demo"]):
            argv += ["-o", override(rng)]
        elif at < len(argv):
            argv[at] = (
                rng.choice(WORDS)
                if way < 6
                else damaged(rng, argv[at].encode("utf-8", "surrogateescape"))
                .decode("utf-8", "surrogateescape")
                .lstrip("/")  # what is asked for in the root would be made there
            )
    files = named(files, argv)
    if rng.randrange(2) and files:
        name = rng.choice(list(files))
        files[name] = damaged(rng, files[name])
    argv = [word.replace("\x00", "") for word in argv]  # no system hands over a zero
    return Example("command", files, {"argv": argv})


def named(files: Files, argv: list[str]) -> Files:
    """The files that a command line names, and the pictures of their rows; all where it names a folder or a pattern."""
    words = {word.split("/")[0] for word in argv}
    if words & {".", "..", "*"}:
        return files
    pictures = images() if "rows.jsonl" in words else {}
    return {name: data for name, data in files.items() if name.split("/")[0] in words or name in pictures}
