"""Whether a case ends as it must: in a result, or in one sentence of the product's own error of the right kind."""

import logging
import os
import re
import sys
import time
import traceback
import unicodedata
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ernie_vil2.messages import UNSHOWN

CPU_SECONDS, WALL_SECONDS, BYTES = 5.0, 120.0, 1 << 30
"""What a case may take; processor time, since that of the clock depends on the machine's other work"""
LONGEST = 500
FRAME = re.compile(r'File "(?:[^"]*/)?(ernie_vil2/[^"]+)", line (\d+),? in (\w+)')
RESULT = "result"
REMARKS = 200
"""Lines at most that decoders in C write past Python: libpng, libtiff and libjpeg inside of OpenCV and Pillow cannot be
asked not to."""
QUIET = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
NAMELESS = os.O_TMPFILE
"""Of a file that is in no folder, as is made to see whether one can be"""
CHANGES = {
    "os.remove": 1, "os.rmdir": 1, "os.rename": 2, "os.mkdir": 1, "os.link": 2, "os.symlink": 2, "os.truncate": 1,
    "os.chmod": 1, "shutil.rmtree": 1,
}  # fmt: skip
"""{audit event: how many of its arguments are paths that it changes}"""
PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect", "pickle.find_class")
HARMLESS = ("/dev/null", "/dev/shm/sem.", "/dev/tty")


@dataclass
class Verdict:
    """How a case ended. `outcome` is "result" or the name of the error; `fault` says in a word what is wrong, if it is;
    `kind` and `frame` are what equal faults are grouped by; `detail` is for a person."""

    outcome: str
    fault: str = ""
    kind: str = ""
    frame: str = ""
    detail: str = ""
    seconds: float = 0.0
    bytes: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Target:
    """What an example is handed to, and the errors of the product that it may end in. A command speaks for itself:
    `call` returns its exit status, and what it printed is judged."""

    call: Callable[..., Any]
    errors: tuple[type[BaseException], ...]
    in_memory: bool = False
    command: bool = False


class Watch:
    """What a process does beside its work while a case runs: log records, output, writes outside of a folder.

    said: descriptor of what Python prints; captured: of what libraries print past it.
    """

    def __init__(self, said: int, captured: int) -> None:
        self.said, self.captured, self.root, self.outside, self.records = said, captured, None, [], []
        handler = logging.Handler(logging.WARNING)
        handler.emit = self.records.append
        logging.getLogger().handlers[:] = [handler]
        logging.raiseExceptions = False
        warnings.showwarning = lambda *about, **_: sys.stderr.write(warnings.formatwarning(*about[:4]))
        warnings.resetwarnings()
        warnings.simplefilter("always")
        for category in QUIET:
            warnings.simplefilter("ignore", category)
        sys.addaudithook(self._hear)

    def begin(self, root: Path) -> None:
        """Forget what was, and hold everything outside of `root` to be forbidden."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for descriptor in (self.said, self.captured):
            os.ftruncate(descriptor, 0)
        self.outside.clear()
        self.records.clear()
        self.root = f"{root}{os.sep}"

    def end(self) -> tuple[str, str]:
        """What was printed by Python, and past it."""
        self.root = None
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        return content(self.said), content(self.captured)

    def _hear(self, event, arguments):
        if self.root is None:
            return
        if event == "open":
            path, _, flags = arguments
            if (
                isinstance(path, (str, bytes))
                and isinstance(flags, int)
                and flags & WRITING
                and flags & NAMELESS != NAMELESS
            ):
                self._note(event, path)
        elif event in CHANGES:
            for path in arguments[: CHANGES[event]]:
                self._note(event, path)
        elif event in PROGRAMS:
            self.outside.append(f"{event} {str(arguments[0])[:80]}")

    def _note(self, event, path):
        try:
            path = os.path.abspath(os.fsdecode(path))
        except TypeError:  # a descriptor
            return
        if not os.path.isdir(os.path.dirname(path)):
            return  # nothing can be made there
        if not f"{path}/".startswith(self.root) and not path.startswith(HARMLESS):
            self.outside.append(f"{event} {path}")


def content(descriptor: int) -> str:
    """The beginning of what lies in an open file."""
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, min(size, 1 << 16), 0).decode("utf-8", "replace") if size else ""


def wrong_sentence(text: str) -> str:
    """What keeps a text from being a sentence that a terminal shows, in a word, or nothing."""
    if not text.strip():
        return "empty"
    if len(text) >= LONGEST:
        return "overlong"
    if any(unicodedata.category(character) in UNSHOWN for character in text):
        return "control characters"
    return "traceback" if "Traceback (most recent" in text else ""


def innermost(text: str, first: bool = False) -> str:
    """The innermost frame of the product in a printed traceback; `first`: where the innermost comes first."""
    found = FRAME.findall(text)
    if not found:
        return "outside of the product"
    path, line, function = found[0 if first else -1]
    return f"{path}:{line} {function}"


def judge(target: Target, arguments: tuple, watch: Watch, root: Path) -> Verdict:
    """Call a target and judge its end; what kills the process is for the one who waits for it."""
    began = time.process_time()
    watch.begin(root)
    verdict = Verdict(RESULT)
    try:
        status = target.call(*arguments)
        verdict.outcome = f"status {status}" if target.command else RESULT
    except target.errors as error:
        verdict = told(error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        text = "".join(traceback.format_exception(error))
        verdict = Verdict(type(error).__name__, "traceback", type(error).__name__, innermost(text), text[-6000:])
    printed, remarks = watch.end()
    verdict.seconds = time.process_time() - began
    if not verdict.fault:
        fault = wrong_command(verdict, printed) if target.command else noise(printed, remarks, watch)
        verdict.fault, verdict.kind, verdict.detail = fault if fault else ("", "", verdict.detail)
    if not verdict.fault and watch.outside:
        verdict.fault, verdict.kind, verdict.detail = "outside", watch.outside[0].split()[0], watch.outside[0]
    if not verdict.fault and verdict.seconds > CPU_SECONDS:
        verdict.fault, verdict.kind = "slow", verdict.outcome
        verdict.detail = f"{verdict.seconds:.1f} s of processor time; {verdict.detail}"
    return verdict


def told(error: BaseException) -> Verdict:
    """The verdict of an error of the right kind: its sentence must be one."""
    name = type(error).__name__
    text = "".join(traceback.format_exception(error))
    try:
        sentence = str(error)
    except Exception as other:
        broken = "".join(traceback.format_exception(other))
        return Verdict(name, "traceback", type(other).__name__, innermost(broken), broken)
    wrong = wrong_sentence(sentence)
    return Verdict(name, wrong, name if wrong else "", innermost(text) if wrong else "", sentence[:2000])


def noise(printed: str, remarks: str, watch: Watch) -> tuple[str, str, str] | None:
    """The fault of what a library call let out beside its end: only the product's own log may speak, in sentences."""
    if printed.strip():
        category = re.search(r"(\w+)\.py:\d+: (\w*Warning)", printed)
        return "noise", " ".join(category.groups()) if category else printed.strip()[:60], printed[:2000]
    if remarks.count("\n") > REMARKS:
        return "noise", "endless remarks of a library", remarks[:2000]
    for record in watch.records:
        text = record.getMessage()
        wrong = wrong_sentence(text) or ("" if record.name.startswith("ernie_vil2") else "of another's log")
        if wrong:
            return "noise", f"{record.name} {wrong}", text[:2000]
    return None


def wrong_command(verdict: Verdict, printed: str) -> tuple[str, str, str] | None:
    """The fault of a command: its status, and its last words, which explain any status but 0."""
    if "Traceback (most recent" in printed:
        return "traceback", printed.strip().splitlines()[-1][:60], printed
    lines = [line for line in printed.splitlines() if line.strip()]
    if verdict.outcome not in ("status 0", "status 1", "status 2"):
        return "status", verdict.outcome, printed[-2000:]
    if verdict.outcome == "status 0":
        bad = [line for line in lines if "Warning: " in line or line.startswith("libpng")]
        return ("noise", bad[0][:60], printed[:2000]) if bad else None
    last = lines[-1] if lines else ""
    speaker = "our own line" if last.startswith("error: ") else "argparse"
    if "error: " not in last:
        return "no sentence", speaker if "error: " in printed else verdict.outcome, printed[-2000:]
    wrong = wrong_sentence(last)
    if wrong:
        return wrong, speaker, last[:2000]
    verdict.detail = last
    return None
