"""quantized.json beside an int8 graph: what a tower was calibrated on, what int8 costs it, and what it runs in since.

Where that is not int8 there is no graph beside it: the record says that int8 was tried, and why it is not used.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from ...errors import CheckpointError
from ...files.json_files import SETTINGS_BYTES, read_json
from .choice import PRECISIONS

RECORD = "quantized.json"


@dataclass(frozen=True)
class Int8Record:
    """A tower that was quantised.

    precision: int8, or what it stays in; calibrated: images or captions of the calibration; cost: points of R@1, mean
    of both directions, that int8 of this tower alone costs on `validated` images, None where that was not measured.
    """

    precision: str
    calibrated: int
    cost: float | None
    validated: int
    nncf: str

    def write(self, folder: Path) -> None:
        """Write the record into the folder of an engine."""
        (folder / RECORD).write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n", encoding="utf-8")


def read_record(folder: Path) -> Int8Record:
    """The record in the folder of an engine, whose checksums are right; CheckpointError where it is no such record."""
    try:
        found = Int8Record(**read_json(folder / RECORD, most=SETTINGS_BYTES))
        if found.precision not in PRECISIONS or not isinstance(found.cost, float | int | None):
            raise ValueError
    except (OSError, TypeError, ValueError):
        raise CheckpointError(
            f"{folder / RECORD} is not a record of int8; quantize the model again with ernie-vil2 quantize MODEL "
            "--calibrate SOURCE"
        ) from None
    return found
