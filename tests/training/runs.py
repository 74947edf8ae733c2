"""Whole runs of tools/train.py as processes of their own: started, killed, stopped and resumed by the tests."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import yaml

from ernie_vil2.checkpoints.formats.safetensors_file import open_safetensors
from tests.conftest import ROOT

TOWER = {"width": 32, "depth": 2, "heads": 2, "activation": "relu"}


def write_config(folder, **changes):
    """Path of run.yaml in `folder`: dropout, augmentation, every kind of pair, the gradient cache, two workers."""
    data = {
        "output": str(folder / "run"),
        "model": {
            "max_length": 64,
            "pixels": {"size": 32},
            "image_tower": {**TOWER, "image_size": 32, "patch_size": 8, "drop_path": 0.1, "patch_dropout": 0.25},
            "text_tower": {**TOWER, "vocab_size": 0, "positions": 64, "dropout": 0.1},
        },
        "data": {
            "train": {"kind": "scenes", "size": 50, "image_size": 32, "languages": ["zh"]},
            "augmentation": {},
            "workers": 2,
        },
        "objective": {"pairs": [["image", "caption"], ["image", "tags"], ["image", "image'"], ["caption", "caption'"]]},
        "optimizer": {"lr": 1e-3, "warmup": 2},
        "train": {"steps": 8, "batch_size": 12, "micro_batch": 4, "log_every": 1, "save_every": 1, "ema": 0.9},
    }
    for key, value in changes.items():
        section, _, name = key.partition("__")
        data[section] = {**data[section], name: value} if name else value
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def write_recipe(folder, steps, sections):
    """Path of run.yaml in `folder`: these sections, gradient cache and average, saved in the middle and at the end."""
    data = {
        "output": str(folder / "run"),
        "optimizer": {"lr": 1e-3, "warmup": 2},
        "train": {
            "steps": steps,
            "batch_size": 12,
            "micro_batch": 4,
            "log_every": 1,
            "save_every": steps // 2,
            "keep": 9,
            "ema": 0.9,
        },
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump({**data, **sections}), encoding="utf-8")
    return path


def kill_and_go_on(path, saved, step):
    """Kill the run of a recipe once the checkpoint `saved` of a step is there, and go on with it to its end."""
    process = begin("-c", path, start_new_session=True)
    while process.poll() is None and not saved.exists():
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    output = process.communicate(timeout=60)[0]
    assert saved.exists() and process.returncode == -signal.SIGKILL, output[-2000:]
    done = train("-c", path, "--resume", "auto")
    assert done.returncode == 0 and f"step {step}, " in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]


def command(*arguments, processes=1, log_dir=None, launcher=()):
    """The command line of a run: plain, or through Paddle's launcher with the options `launcher`."""
    start = [sys.executable, "-W", "ignore"]
    if processes > 1 or launcher:
        start += ["-m", "paddle.distributed.launch", "--nproc_per_node", str(processes), "--log_dir", str(log_dir)]
    return [*start, *map(str, launcher), "tools/train.py", *map(str, arguments)]


def environment(**variables):
    """One thread, `variables`, and nothing of a launcher that this process may have been started by."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PADDLE_")}
    return {**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables}


def run_code(code, *arguments, timeout=480):
    """Run Python code in a process of its own, of one thread: the number of threads changes rounding."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env=environment(),
        timeout=timeout,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def train(*arguments, processes=1, log_dir=None, timeout=240, **options):
    """The CompletedProcess of a run that ends by itself."""
    return subprocess.run(
        command(*arguments, processes=processes, log_dir=log_dir),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        **options,
    )


def begin(*arguments, processes=1, log_dir=None, launcher=(), variables=None, **options):
    """A run as a Popen whose output is read as text; the caller ends it."""
    return subprocess.Popen(
        command(*arguments, processes=processes, log_dir=log_dir, launcher=launcher),
        cwd=ROOT,
        env=environment(**(variables or {})),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def arrays(folder, step):
    """{file/tensor: array} of everything numeric in the checkpoint of a step."""
    path = Path(folder) / "run" / "checkpoints" / f"step-{step:07d}"
    found = {}
    for file in sorted(path.glob("*.safetensors")):
        for key, value in open_safetensors(file).items():
            part = "optimizer" if file.name.startswith("optimizer") else file.stem
            found[f"{part}/{key}"] = np.asarray(value)
    return found


def different(one, two):
    """Names of tensors that differ in any bit, or that only one side has."""
    return sorted(set(one) ^ set(two)) + [key for key in one if key in two and not np.array_equal(one[key], two[key])]


def rank_of(launcher, rank):
    """Process id of a rank that a launcher has started."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            variables = (entry / "environ").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if parent == launcher and f"PADDLE_TRAINER_ID={rank}".encode() in variables:
            return int(entry.name)
    raise AssertionError(f"no rank {rank} below process {launcher}")


def kill_ranks(log_dir):
    """kill -9 everything that a launcher with this log folder started: ranks have sessions of their own."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"PADDLE_LOG_DIR={log_dir}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)


def fork_jobs(job, folder, sizes):
    """job(folder/N) on N gloo ranks for every size N, or in this process for 1, with the vocabulary of the folder."""
    import paddle.distributed as dist  # what is forked has it already

    for size in sizes:
        (folder / str(size)).mkdir()
        shutil.copy(folder / "vocab.txt", folder / str(size))
        if size == 1:
            job(folder / "1")
        else:
            dist.spawn(job, (folder / str(size),), nprocs=size, backend="gloo", start_method="fork")
