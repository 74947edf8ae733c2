"""The jobs that are killed, with those of `index` and of servers: their commands, and who judges what they leave."""

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.kills import judge, judge_run
from tests.kills.index_jobs import INDEX_JOBS
from tests.kills.inputs import SAVE_EVERY, STEPS
from tests.kills.job import ANY, INT, KILL, RANK, TERM, WORKER, Job
from tests.kills.serving_jobs import SERVING_JOBS
from tests.training.runs import command as train_command


def training(name: str, processes: int, kinds: tuple[str, ...], ended: Callable[[Path], list[str]]) -> Job:
    """A run of training on so many ranks, which a repeated command resumes."""

    def command(inputs: Path, folder: Path) -> list[str]:
        options = ["-c", inputs / name / "run.yaml", "-o", f"output={folder / 'run'}", "--resume", "auto"]
        return train_command(*options, processes=processes, log_dir=folder / "launch")[3:]

    return Job(
        f"train {name}",
        command,
        torn=lambda folder, right: judge_run.torn_run(folder / "run", right / "run", SAVE_EVERY),
        wrong=lambda folder, right: judge_run.wrong_end(folder / "run", right / "run", STEPS, SAVE_EVERY),
        kinds=kinds,
        straight=["-o", "train.save_every=1", "-o", "train.keep=99"],
        ended=ended,
        state=lambda folder: judge.contents(folder / "run" / judge_run.LOG),
        statuses=processes == 1,
    )


def encoding(form: str, *more: str) -> Job:
    """Encoding of the table in one of the two forms, with more options."""

    def command(inputs: Path, folder: Path) -> list[str]:
        options = ["--input", inputs / "rows.tsv", "--output", folder / "out", "--format", form, *more]
        return ["tools/encode.py", "--model", inputs / "model", *options]

    def wrong(folder: Path, right: Path) -> list[str]:
        sides = [f"out.{side}" for side in ("run.json", "bad.jsonl") if form == "release"]
        return [fault for name in ("out", *sides) for fault in judge.different(folder / name, right / name)]

    def torn(folder: Path, right: Path) -> list[str]:
        return judge.torn_encoding(folder / "out", right / "out")

    return Job(" ".join(["encode", form, *more]), command, torn, wrong)


def shard_command(inputs: Path, folder: Path) -> list[str]:
    return ["tools/data.py", "shard", inputs / "rows.tsv", folder / "out", "--per-shard", "75"]


def convert_command(inputs: Path, folder: Path) -> list[str]:
    return ["tools/convert.py", inputs / "weights.pdparams", folder / "out", "--vocab", inputs / "vocab.txt"]


def same_output(folder: Path, right: Path) -> list[str]:
    return judge.different(folder / "out", right / "out")


def older_directory(inputs: Path, folder: Path) -> None:
    """A model directory of other weights where the new one shall lie, and a copy to compare with."""
    for name in ("out", "older"):
        shutil.copytree(inputs / "model", folder / name)


JOBS = (
    training("one", 1, (*ANY, WORKER), lambda folder: judge_run.unsaved(folder / "run")),
    encoding("npy"),
    Job(
        "shard",
        shard_command,
        torn=lambda folder, right: judge.torn_shards(folder / "out", right / "out"),
        wrong=same_output,
    ),
    training("two", 2, (KILL, KILL, RANK, RANK, TERM, INT, WORKER), lambda folder: []),
    encoding("release"),
    encoding("npy", "--only", "image"),
    Job(
        "convert",
        convert_command,
        torn=lambda folder, right: judge.torn_directory(folder / "out", right / "out"),
        wrong=same_output,
        done=lambda folder: (folder / "out").exists(),
    ),
    Job(
        "convert over",
        lambda inputs, folder: [*convert_command(inputs, folder), "--replace"],
        torn=lambda folder, right: judge.torn_directory(folder / "out", right / "out", folder / "older"),
        wrong=same_output,
        begin=older_directory,
    ),
    *INDEX_JOBS,
    *SERVING_JOBS,
)
