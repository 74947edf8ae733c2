"""A side's process, seen from the one that compares: it is asked for one thing after the other, and answers each."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ....errors import UserError
from .answers import ANSWER, REFUSAL

SETTINGS = ("OMP_", "KMP_", "MKL_", "FLAGS_", "MALLOC_", "GOMP_")
"""Beginnings of the variables that say how libraries compute: a side starts without those of its parent"""
GRACE = 10
"""Seconds a process has to end by itself."""


class Refusal(UserError):
    """A side cannot take part here, and says why."""


class Process:
    """The process of a side; `ask(request)` gives its answer.

    code: what it runs. job: what it is told first. interpreter: another Python than this one, which then imports
    nothing of this one's but the library itself. Raises Refusal when it cannot take part, UserError when it stops.
    """

    def __init__(
        self,
        name: str,
        code: str,
        job: Mapping[str, Any],
        variables: Mapping[str, str] | None = None,
        interpreter: str | os.PathLike = sys.executable,
        imports: Sequence[str | os.PathLike] = (),
    ):
        environment = {key: value for key, value in os.environ.items() if not key.startswith(SETTINGS)}
        paths = os.pathsep.join(map(str, imports or filter(None, sys.path)))
        self.name = name
        self.errors = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(
            [str(interpreter), "-W", "ignore", "-c", code],
            env={**environment, **(variables or {}), "PYTHONPATH": paths},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
        )
        try:
            self.told = self.ask(job)
        except BaseException:
            self.close()
            raise

    def ask(self, request: Any) -> Any:
        """The answer to a JSON-able request."""
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            while line := self.process.stdout.readline():
                if line.startswith(ANSWER):
                    return json.loads(line.removeprefix(ANSWER))
                if line.startswith(REFUSAL):
                    raise Refusal(json.loads(line.removeprefix(REFUSAL)))
        except BrokenPipeError:
            pass
        self.errors.seek(0)
        reason = (self.errors.read().strip() or "it gave no reason").split("\n")[-1]
        raise UserError(f"the side {self.name} of the comparison stopped: {reason}")

    def close(self) -> None:
        """End the process: at the end of its input, or killed (Paddle's handler of SIGTERM can wait for ever)."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def library_alone(folder: Path) -> Path:
    """A folder to import from that holds this library and nothing of what is installed beside it."""
    alone = folder / "imports"
    alone.mkdir(exist_ok=True)
    package = Path(__file__).resolve().parents[3]
    link = alone / package.name
    if not link.is_symlink():
        link.symlink_to(package, target_is_directory=True)
    return alone
