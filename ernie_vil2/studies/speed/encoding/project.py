"""This project: a loaded model with the engine and precision of the side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .... import load
from ....errors import UserError
from .encoder import serve

START = "from ernie_vil2.studies.speed.encoding import project; project.main()"


class Loaded:
    """Encodes as a user of the library does. Raises UserError where a tower fell back to another engine."""

    told = ""

    def __init__(self, job: Mapping[str, Any]):
        self.model = load(job["model"], engine=job["engine"], precision=job["precision"])
        engines = self.model.engines
        for kind in list(engines.choices):
            engines.of(kind)
            choice = engines.choices[kind]
            if (choice.engine, choice.precision) != (job["engine"], job["precision"]):
                raise UserError(f"the {kind} tower runs on {choice.engine} in {choice.precision}, {choice.why}")

    def encode(self, kind: str, items: Sequence[str]) -> np.ndarray:
        return (self.model.encode_image if kind == "images" else self.model.encode_text)(items)


def main() -> None:
    """The process of a side of this project."""
    serve(Loaded)
