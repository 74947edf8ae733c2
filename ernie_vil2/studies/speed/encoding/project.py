"""This project: a loaded model with the engine and precision of the side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .... import load
from .answers import serve

START = "from ernie_vil2.studies.speed.encoding import project; project.main()"


class Loaded:
    """Encodes as a user of the library does."""

    told = ""

    def __init__(self, job: Mapping[str, Any]):
        self.model = load(job["model"])

    def encode(self, kind: str, items: Sequence[str]) -> np.ndarray:
        return (self.model.encode_image if kind == "images" else self.model.encode_text)(items)


def main() -> None:
    """The process of a side of this project."""
    serve(Loaded)
