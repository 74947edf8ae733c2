"""What a projection to many cards needs, measured on this machine: memory, time and bytes of the real step.

Sizes are measured in processes of their own; what goes over the wire is counted in a job of two ranks that runs the
training step's own code on a tiny model. `docs/scaling.json` holds a measurement.
"""

import json
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import UserError
from ...runtime import cpu_count, import_paddle
from ...training.ranks.launch import plain_environment
from .rank_traffic import measure_ranks
from .view_costs import SIZES, measure_size

START = "from ernie_vil2.studies.scaling import measure; measure.serve()"
TIMEOUT = 900


def measure(say: Callable[[str], object] = lambda line: None) -> dict[str, Any]:
    """Everything, as JSON-able data: sizes.{base,large}, wire, loss, and on what it was measured."""
    sizes = {}
    for size in SIZES:
        say(f"measuring {size} ...")
        sizes[size] = ask({"what": "size", "size": size})
    return {"machine": f"{platform.machine()}, {cpu_count()} cores", "sizes": sizes, **measure_two_ranks(say)}


def measure_two_ranks(say: Callable[[str], object] = lambda line: None) -> dict[str, Any]:
    """The parts `wire` and `loss`."""
    say("counting what two ranks send, and what their loss holds ...")
    return ask({"what": "ranks"})


def ask(job: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of a process to a job; UserError with its last line when it fails."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", START],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=plain_environment(),
    )
    if done.returncode:
        raise UserError(f"{job} could not be measured: {(done.stderr.strip() or 'no reason given').splitlines()[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def serve() -> None:
    """One process of `ask`: a job as JSON on standard input, the answer as JSON on the last line."""
    import_paddle()
    job = json.loads(sys.stdin.read())
    print(json.dumps(measure_size(job["size"]) if job["what"] == "size" else measure_ranks()))
