"""The Python of torch's sides, an environment of its own."""

import os
from pathlib import Path
from typing import Any

from ....errors import ConfigError, UserError
from .process import library_alone

TORCH_PYTHON = ".venv-interop/bin/python"
"""What `make interop` fills"""


def torch_python(path: str | os.PathLike | None) -> Path:
    """The Python of a path, or TORCH_PYTHON where it is None; ConfigError for a path that cannot be started."""
    if path is not None and not (Path(path).is_file() and os.access(path, os.X_OK)):
        raise ConfigError(f"--torch {path} cannot be started; give the Python of an environment that has torch")
    return Path(path or TORCH_PYTHON)


def torch_settings(python: Path, folder: Path) -> dict[str, Any]:
    """What a `Process` is given to run on it, with this library alone to import; UserError where there is none."""
    if not python.is_file():
        raise UserError(f"there is no {python}; fill it with make interop, or give --torch")
    return {"interpreter": python.absolute(), "imports": [library_alone(folder)]}
