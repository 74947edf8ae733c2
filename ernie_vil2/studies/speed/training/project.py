"""This project's side of the comparison: the trainer's own steps."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ....config.run import RunConfig
from ....runtime import import_paddle
from ....schema import build
from ..turns.answers import converse

START = "from ernie_vil2.studies.speed.training import project; project.main()"


def begin(job: Mapping[str, Any]) -> tuple[str, Callable[[int], Any]]:
    """Steps of a job of `Work`; a request is a number of them, the answer the Parts of each."""
    import_paddle()
    from .steps import TrainerSteps

    config = build(RunConfig, job["config"], "the job")
    steps = TrainerSteps(config, job["batch"], job["length"], Path(job["folder"]))
    return "", lambda count: steps.spread(steps.take(count))


def main() -> None:
    """The process of this side."""
    converse(begin)
