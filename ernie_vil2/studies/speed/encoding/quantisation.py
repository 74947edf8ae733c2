"""The int8 engine of the run's model, made in a process that ends then: what that takes of memory is not the side's."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

from ..turns.answers import converse

START = "from ernie_vil2.studies.speed.encoding import quantisation; quantisation.main()"


def begin(job: Mapping[str, Any]) -> tuple[str, None]:
    """Quantise with the images and captions of the run; there is nothing to ask for afterwards."""
    from ....inference.quantization import quantize_model

    quantize_model(job["model"], job["photos"], list(chain(*job["captions"].values())))
    return "", None


def main() -> None:
    """The process that quantises."""
    converse(begin)
