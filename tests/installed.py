"""The library as a wheel in an environment of its own: what somebody has who installed it without a clone."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from tests.conftest import ROOT

NEEDED = ("ernie_vil2", "configs", "pyproject.toml", "README.md", "LICENSE", "requirements.txt")
"""What a wheel is built from; the build writes beside it, so it is given a copy"""


class Installed:
    """An environment with the wheel of this clone, and the libraries of the environment that runs the tests."""

    def __init__(self, place: Path) -> None:
        sources, wheels, self.folder = place / "sources", place / "wheels", place / "environment"
        sources.mkdir(parents=True)
        for name in NEEDED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, sources / name)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        checked([*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, sources])
        venv.create(self.folder, symlinks=True)
        (wheel,) = wheels.glob("*.whl")
        checked([*pip, "--python", self.python, "install", "--quiet", "--no-deps", "--no-index", wheel])
        own = next(self.folder.glob("lib/python*/site-packages"))
        (own / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def run(self, folder: Path, *command: str | os.PathLike) -> subprocess.CompletedProcess:
        """A command of the shell's path, as typed in a folder by somebody whose environment is active."""
        path = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])
        return subprocess.run(
            list(map(os.fspath, command)), cwd=folder, env=outside(PATH=path), capture_output=True, text=True
        )


def outside(**changed: str) -> dict[str, str]:
    """The variables of this process without those that would show the clone."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")} | changed


def checked(command: list[str | os.PathLike]) -> None:
    """Run what must work; AssertionError with its last lines where it does not."""
    done = subprocess.run(list(map(os.fspath, command)), env=outside(), capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
