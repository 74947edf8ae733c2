"""Calls in one child process whose memory is limited: what each says, and what all of them take."""

import json
import subprocess
import sys
from typing import NamedTuple

from tests.conftest import ROOT

CHILD = """
import importlib, json, resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
import ernie_vil2.checkpoints.model_directory, ernie_vil2.checkpoints.layouts.recognise
from ernie_vil2.errors import UserError
def peak():  # not ru_maxrss, which a process inherits from the one that started it
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
calls = [(*function.split(":"), args) for function, args in json.load(sys.stdin)]
calls = [(getattr(importlib.import_module(module), name), args) for module, name, args in calls]
base, answers = peak(), []
for function, args in calls:
    began = time.process_time()
    try:
        function(*args)
        said = None
    except UserError as error:
        said = str(error)
    except Exception as error:
        said = f"TRACEBACK {type(error).__name__}: {error}"[:300]
    answers.append([said, time.process_time() - began, peak() - base])
print(json.dumps(answers))
"""


class Answer(NamedTuple):
    """What a call ended with (None: a result), the seconds of it, and MB of memory since the first call, at most."""

    said: str | None
    seconds: float
    megabytes: float


def answers(calls, timeout=120):
    """The Answer of each (module:function, arguments), called one after the other in a child."""
    given = json.dumps([(function, [str(value) for value in args]) for function, args in calls])
    done = subprocess.run(
        [sys.executable, "-c", CHILD], cwd=ROOT, input=given, capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [Answer(*answer) for answer in json.loads(done.stdout)]


def refusals(calls, seconds=2, megabytes=200):
    """What each call says, which must be one sentence of the product within the bounds."""
    found = answers(calls)
    for (function, args), answer in zip(calls, found, strict=True):
        assert answer.said is not None, f"{function}{args} gives a result"
        assert not answer.said.startswith("TRACEBACK"), f"{function}{args}: {answer.said}"
        assert len(answer.said) <= 500 and answer.said.isprintable()
        assert answer.seconds < seconds, f"{function}{args} takes {answer.seconds:.1f} s"
    assert found[-1].megabytes < megabytes, [round(answer.megabytes) for answer in found]
    return [answer.said for answer in found]
