"""A side's process, seen from itself: it says that it is ready or why it cannot take part, and answers."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from ....errors import UserError

ANSWER, REFUSAL = "answer ", "refusal "
"""Beginnings of the lines that are meant for the other process; libraries may print others"""


def converse(begin: Callable[[Mapping[str, Any]], tuple[Any, Callable[[Any], Any]]]) -> None:
    """The loop of a process: a job as JSON on the first line of standard input, then a request a line, each answered.

    begin(job) -> (first answer, function from a request to its answer); what raises UserError or lacks a library is
    refused.
    """
    try:
        told, answer = begin(json.loads(sys.stdin.readline()))
    except UserError as error:
        print(REFUSAL + json.dumps(str(error)), flush=True)
        return
    except ModuleNotFoundError as error:
        lacking = f"{error.name} is not installed for {sys.executable}; install it there, or name another Python"
        print(REFUSAL + json.dumps(lacking), flush=True)
        return
    print(ANSWER + json.dumps(told), flush=True)
    for line in sys.stdin:
        try:
            print(ANSWER + json.dumps(answer(json.loads(line))), flush=True)
        except UserError as error:
            print(REFUSAL + json.dumps(str(error)), flush=True)


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
