"""What a person types in this terminal to run a command of this package."""

import os
import shlex
import shutil
import sys
from pathlib import Path

NAME = "ernie-vil2"


def typed(*arguments: str | os.PathLike) -> str:
    """A command with its arguments, to be copied: by its name where the shell finds this environment's, or else by its
    path, since an environment that is not active has it too."""
    return f"{program()} {shlex.join(map(os.fspath, arguments))}"


def program() -> str:
    """How the command is called."""
    own, found = Path(sys.executable).parent / NAME, shutil.which(NAME)
    if found and not (own.exists() and not os.path.samefile(found, own)):
        return NAME
    if not own.exists():
        return shlex.join([sys.executable, "-m", "ernie_vil2.cli"])
    near = os.path.relpath(own)
    return shlex.quote(os.fspath(own) if near.startswith(os.pardir) else near)
