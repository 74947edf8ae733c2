"""Every command that writes, with a small input of its own, for tests that must hold for all of them."""

import json
import shutil
from contextlib import suppress

import numpy as np
from PIL import Image

from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.cli.main import dispatch
from tests.conftest import ROOT
from tests.evaluation.benchmarks import makers

EVAL = "eval --model a --benchmark coco-cn@1053 --data coco --allow-counts"
SCALE = "bench scale --measured scaling.json"
DETECTED = {"id": "0", "labels": ["猫"], "scores": [0.9], "boxes": [[0, 0, 9, 9]]}
# name: (command without its output, the option that names it, an input that it might name)
FILES = {
    "check": ("data check pairs.jsonl", "--json", "pairs.jsonl"),
    "tags": ("data tags pairs.jsonl", None, "pairs.jsonl"),
    "boxes": ("data boxes pairs.jsonl", None, "pairs.jsonl"),
    "vocab": ("data vocab pairs.jsonl", None, "pairs.jsonl"),
    "pairs": ("data pairs coco-cn@1053 coco", None, None),
    "encode": ("encode --model a --input pairs.jsonl --format release", "--output", "pairs.jsonl"),
    "eval": ("eval --model a --input pairs.jsonl", "--json", "pairs.jsonl"),
    "benchmark": (EVAL, "--json", None),
    "calibrate": ("eval calibrate --model a --pairs labelled.tsv", "--json", "labelled.tsv"),
    "scale": (SCALE, "--write", "scaling.json"),
    "convert": ("convert a", None, None),
}
REST = {"tags": ["det.jsonl"], "boxes": ["det.jsonl"], "vocab": ["--size", "200"], "pairs": ["--allow-counts"]}
REST["export"] = ["--to", "openvino"]
FOLDERS = {
    "shard": ("data shard pairs.jsonl --per-shard 2", None, None),
    "encode": ("encode --model a --input pairs.jsonl", "--output", None),
    "benchmark": (EVAL, "--output", None),
    "interpolate": ("interpolate a b", None, "a"),
    "convert": ("convert w.pdparams --no-check --vocab tiny_vocab.txt", None, None),
    "export": ("export a", None, None),
}
KNOWN = {"calibrate", "check", "encode", "eval", "benchmark", "scale", "shard", "interpolate"}
"""Commands that know what they wrote."""


def furnish(tmp_path, tiny_config, tiny_vocab):
    """Fill the working directory with an input of every kind: models, a source, detections, a benchmark, weights."""
    for seed, name in enumerate("ab"):
        rng = np.random.default_rng(seed)
        state = {key: rng.normal(0, 0.3, shape).astype(np.float32) for key, shape in manifest(tiny_config).items()}
        save_model(name, state, tiny_config, tiny_vocab)
    lines = []
    for number in range(4):
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (40, 40, 3), np.uint8)).save(f"{number}.png")
        lines.append({"id": str(number), "image": f"{number}.png", "texts": ["一只猫"]})
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    labelled = ["0.png\t0.png\t1\n", "0.png\t1.png\t0\n"] * 30
    (tmp_path / "labelled.tsv").write_text("".join(labelled))
    (tmp_path / "det.jsonl").write_text(json.dumps(DETECTED) + "\n")
    makers.coco_cn(tmp_path / "coco")
    shutil.copy(ROOT / "docs/scaling.json", "scaling.json")
    run("convert a w.pdparams --no-check")


def run(command, *more):
    with suppress(SystemExit):
        return dispatch([*command.split(), *map(str, more)])


def call(cases, name, target, *options):
    """One command with the place of its output."""
    command, flag, _ = cases[name]
    return run(command, *([flag] if flag else []), target, *REST.get(name, ()), *options)


def content(path):
    """Everything below the working directory."""
    return {
        one.relative_to(path).as_posix(): one.read_bytes()
        for one in path.rglob("*")
        if one.is_file() and not one.name.endswith(".index")
    }


def place(name):
    """Where a command may write a new file."""
    return "coco/out" if name == "pairs" else "out"
