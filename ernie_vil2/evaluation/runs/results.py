"""Run folders: what an evaluation found, written with what is needed to get it again, and read."""

import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import CheckpointError, DataError, advice
from ...files import json_files
from ...files.atomic import ASIDE, atomic_directory, sync_directory, synced_file
from ...files.text import ContentError
from .analysis_record import is_number
from .records import Outcome, Result, Run

FORMAT = 1
RESULT, ANALYSIS = "result.json", "analysis.json"
FILES = {RESULT, ANALYSIS}
REPEAT = "evaluate again with --output"


def plain(value: Any) -> Any:
    """`value` as JSON holds it: NumPy's numbers and arrays as Python's, what is not finite as None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def write_run(folder: str | Path, outcome: Outcome, provenance: dict[str, Any]) -> None:
    """Write the run folder of an Outcome: result.json and, where embeddings were compared, analysis.json.

    provenance: what the function of that name returned; it goes into every row. An older run folder is replaced,
    anything else is not. The folder appears whole or not at all. Raises CheckpointError.
    """
    from .analysis import analyse

    rows = [{**asdict(result), "provenance": {**provenance, **result.provenance}} for result in outcome.results]
    files = {RESULT: {"format": FORMAT, "results": rows}}
    if outcome.embeddings is not None:
        files[ANALYSIS] = {"format": FORMAT, **analyse(outcome)}
    folder = Path(os.path.realpath(folder))
    check_folder(folder)
    with atomic_directory(folder) as temporary:
        temporary.mkdir()
        for name, content in files.items():
            with synced_file(temporary / name) as handle:
                handle.write(json_bytes(content, None if name == ANALYSIS else 1))
        sync_directory(temporary)


def json_bytes(content: Any, indent: int | None = 1) -> bytes:
    """`content` as strict JSON; a lone surrogate of a text is escaped, so that every text can be written."""
    text = json.dumps(plain(content), ensure_ascii=False, allow_nan=False, indent=indent)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def check_folder(folder: str | Path) -> bool:
    """Whether a run folder lies there already; CheckpointError for anything but such a one without foreign files, a
    free name or an empty folder.

    `write_run` asks it too; asked before a long evaluation, it spares the wait.
    """
    folder = Path(os.path.realpath(folder))
    if not os.path.lexists(folder):
        return False
    occupied = not folder.is_dir() or any(folder.iterdir())
    if occupied and not is_run_alone(folder):
        raise CheckpointError(
            f"{folder} exists and is not a run folder with nothing else in it, so it is not replaced; "
            "choose another name or remove it"
        )
    return occupied


def is_run_alone(folder: Path) -> bool:
    """Whether a folder holds the rows of a run, and nothing that is not of it."""
    try:
        read_json(folder / RESULT, "results")
    except DataError:
        return False
    return set(os.listdir(folder)) <= FILES


def read_run(folder: str | Path) -> Run:
    """The Run in a folder that `write_run` wrote.

    Raises DataError naming the file: no run folder, JSON that is damaged or lacks something, another format.
    """
    from .analysis_record import check_analysis

    folder = Path(folder)
    if not (folder / RESULT).is_file():
        waiting = [other for other in folder.parent.glob("*") if other.name.startswith(folder.name + ASIDE)]
        hint = "give the folder that was named with --output of an evaluation"
        if waiting:
            hint = f"an evaluation that was interrupted left {waiting[0]}: rename it to {folder.name}"
        raise DataError(f"{folder} is not a run folder: {RESULT} is missing; {hint}")
    path = folder / RESULT
    rows = read_json(path, "results")["results"]
    try:
        results = [checked_result(row) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged: a row lacks or has a wrong {error}; {REPEAT}") from None
    if not results:
        raise DataError(f"{path} holds no row; {REPEAT}")
    if not (folder / ANALYSIS).exists():
        return Run(folder, results)
    path = folder / ANALYSIS
    analysis = read_json(path, "recall")
    try:
        check_analysis(analysis)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} is damaged: it lacks or has a wrong {error}; {REPEAT}") from None
    return Run(folder, results, analysis)


def read_json(path: Path, needed: str) -> dict[str, Any]:
    """The dictionary in a file of this format, which has the key `needed`."""
    try:
        content = json_files.read_json(path)
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error.strerror or error}; {advice(error, 'check its permissions')}"
        ) from None
    except ContentError as error:
        raise DataError(f"{path} is damaged: {error.reason}; {REPEAT}") from None
    if not isinstance(content, dict) or "format" not in content:
        raise DataError(f"{path} was not written by an evaluation: it has no format; {REPEAT}")
    if content["format"] != FORMAT:
        raise DataError(
            f"{path} has format {str(content['format'])[:20]!r}, this version reads {FORMAT}; "
            "use the version that wrote it, or evaluate again"
        )
    if needed not in content:
        raise DataError(f"{path} is damaged: it has no {needed}; {REPEAT}")
    return content


def checked_result(row: Any) -> Result:
    """A Result of a row of JSON; KeyError, TypeError or ValueError naming the field that is wrong."""
    kinds = {"benchmark": str, "task": str, "metrics": dict, "counts": dict, "provenance": dict, "notes": list}
    if not isinstance(row, dict):
        raise TypeError("row")
    for name, kind in kinds.items():
        if not isinstance(row[name], kind):
            raise TypeError(name)
    for name, value in row["metrics"].items():
        if value is not None and not is_number(value):
            raise ValueError(f"metric {name}")
    values = {name: row[name] for name in kinds}
    return Result(**{**values, "notes": tuple(map(str, row["notes"]))})
