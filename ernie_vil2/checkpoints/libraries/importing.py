"""Modules of libraries that are installed on demand."""

import importlib
from types import ModuleType

from ...errors import ConfigError

INSTALL = "pip install --no-deps --use-pep517 -r requirements-models.txt"


def imported(module: str, library: str) -> ModuleType:
    """A module of PaddleNLP or PaddleClas; ConfigError that says how to install it when it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"{library} cannot be imported here ({error}); install it with {INSTALL}") from None
