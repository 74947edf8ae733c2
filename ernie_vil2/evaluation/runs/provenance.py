"""How to get a row of a table again: the command, and checksums of the data, the model and the configuration."""

import hashlib
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...checkpoints import model_directory
from ...checkpoints.formats.safetensors_file import header_digest
from ...errors import CheckpointError
from ...files.digests import sha256_of
from ...versions import versions


def provenance(
    command: str | Sequence[str], model_path: str | Path | None, data_sha256: str, options: Mapping[str, Any]
) -> dict[str, Any]:
    """{command, data_sha256, model_sha256, config_sha256, versions} of a run, as `results.write_run` takes it.

    command: arguments as in sys.argv, or a line that is quoted already. model_path: a model directory or a .pdparams,
    or None where embeddings were read, which are the data then. options: a JSON-able dictionary of everything that
    changes the figures; it is hashed together with the model's configuration. A checksum of a model is preceded by the
    name of its method. Nothing tells of this machine but what the command holds. Raises CheckpointError for a model
    that is none.
    """
    config, checksum = (None, None) if model_path is None else model_identity(Path(model_path))
    subject = json.dumps({"model": config, "options": options}, sort_keys=True, separators=(",", ":"), default=str)
    return {
        "command": command if isinstance(command, str) else command_line(command),
        "data_sha256": data_sha256,
        "model_sha256": checksum,
        "config_sha256": hashlib.sha256(subject.encode()).hexdigest(),
        "versions": versions(),
    }


def command_line(argv: Sequence[str]) -> str:
    """Arguments as one line for a shell; a program's own place in the file system is left out."""
    program, *rest = map(str, argv)
    if program.startswith("ernie-vil2 "):  # what ernie_vil2.cli.main puts there is a command and its verb
        return " ".join(filter(None, (program, shlex.join(rest))))
    if os.path.isabs(program):
        place = Path(program)
        program = f"tools/{place.name}" if place.parent.name == "tools" else place.name
    return shlex.join([program, *rest])


def model_identity(path: Path) -> tuple[dict[str, Any], str]:
    """(configuration as a dictionary, checksum with the name of its method) of anything that `ernie_vil2.load` takes.

    A model directory has the checksum of every tensor in the header of its weights, so the header stands for them.
    """
    if path.is_dir() and not (path / model_directory.PADDLENLP_WEIGHTS).is_file():
        _, config, _ = model_directory.open_directory(path)
        return config.to_dict(), f"header-sha256:{header_digest(path / model_directory.WEIGHTS)}"
    if not path.exists():
        raise CheckpointError(f"{path} does not exist; give a model directory or a .pdparams file")
    _, config, _ = model_directory.open_other(path, None)
    return config.to_dict(), f"sha256:{sha256_of(path / model_directory.PADDLENLP_WEIGHTS if path.is_dir() else path)}"
