"""CPU settings that Paddle reads once, when it is imported, and the C library's memory settings.

Four things, each measured in docs/architecture.md: threads, the fast matrix path on AMD, transposes that copy at once
(Paddle's strided views are copied later by a slow kernel, five times the cost of attention), and freed memory that is
kept for the next tensor instead of going back to the system. A value that the user has set always wins. Beside them,
libraries that would report their use do not.
"""

import contextlib
import ctypes
import importlib
import importlib.machinery
import importlib.metadata
import io
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

from .errors import UserError

REPORTER = "openvino_telemetry"
STDOUT, STDERR = 1, 2
SILENCE = threading.RLock()
"""Standard streams belong to the process: two threads that let go of one would give back each other's"""
SIGNAL_ROOM = 1 << 18
SS_DISABLE = 2
"""Of stack_t in <bits/ss_flags.h>: there is none"""
CARD_BUILDS = ("paddlepaddle-gpu", "paddlepaddle-xpu", "paddlepaddle-dcu")


def cpu_count() -> int:
    """Cores this process may use: the scheduling affinity, where the system has one."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def is_amd() -> bool:
    """Whether the processor names itself AuthenticAMD (Linux; elsewhere False)."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as handle:
            return any("AuthenticAMD" in line for line in handle if line.startswith("vendor_id"))
    except OSError:
        return False


def is_cpu_build() -> bool:
    """Whether the installed Paddle computes on CPUs only; for cards strided views stay on, they cost nothing there."""
    for build in CARD_BUILDS:
        try:
            importlib.metadata.distribution(build)
        except importlib.metadata.PackageNotFoundError:
            continue
        return False
    return not device_plugins()


def device_plugins() -> list[Path]:
    """Paths of the libraries of custom devices that Paddle will load: of CUSTOM_DEVICE_ROOT, or beside Paddle.

    Packages such as paddle-custom-npu install them beside the CPU build.
    """
    root = os.environ.get("CUSTOM_DEVICE_ROOT")
    if root is None:
        package = importlib.machinery.PathFinder.find_spec("paddle")
        if package is None or not package.submodule_search_locations:
            return []
        root = Path(package.submodule_search_locations[0]).parent / "paddle_custom_device"
    return sorted(Path(root).glob("*.so")) if root else []


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks of up to 32 MiB, so that each tensor does not fault in its pages anew."""
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3
    if any(name.startswith("MALLOC_") for name in os.environ) or not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(mmap_threshold, 32 << 20)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 64 << 20)


def prepare() -> None:
    """Make the settings; warn when Paddle is already imported, since it then runs with its own."""
    keep_silent()
    wanted = {"OMP_NUM_THREADS": str(cpu_count())}
    if is_amd():
        wanted["MKL_DEBUG_CPU_TYPE"] = "5"
    if is_cpu_build():
        wanted["FLAGS_use_stride_kernel"] = "0"
        keep_freed_memory()
    wanted = {key: value for key, value in wanted.items() if key not in os.environ}
    if wanted and "paddle" in sys.modules:
        warnings.warn(
            "paddle was imported before ernie_vil2, so it runs with its own CPU settings; for full speed import "
            "ernie_vil2 first or set " + " ".join(f"{key}={value}" for key, value in wanted.items()),
            RuntimeWarning,
            stacklevel=3,
        )
        return
    os.environ.update(wanted)


def keep_silent() -> None:
    """Let OpenVINO and NNCF find nothing that reports: OpenVINO (2026.4) tells Google Analytics of each import, and
    leaves an identifier of the user in ~/intel for that. Without that package they report nothing."""
    sys.modules.setdefault(REPORTER, None)


def import_paddle() -> None:
    """Import Paddle without its remarks on threads and compilers, which tell a user of the tools nothing to act on."""
    remarks = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(remarks):
            warnings.simplefilter("ignore")
            importlib.import_module("paddle")  # by name: nobody imports Paddle by importing this module
    except BaseException as error:
        sys.stderr.write(remarks.getvalue())
        if wrong := [name for name, value in os.environ.items() if is_cause(name, value, error)]:
            raise UserError(
                f"Paddle takes {wrong[0]}, which is {os.environ[wrong[0]]!r}, for a number when it is imported; clear "
                f"it with: unset {wrong[0]}"
            ) from error
        raise
    give_back_stderr(remarks)
    plain_termination()


def is_cause(name: str, value: str, error: BaseException) -> bool:
    """Whether an error is Python's about text that is no number, and the text that of a variable for Paddle."""
    return isinstance(error, ValueError) and name.startswith(("PADDLE_", "FLAGS_")) and str(error).endswith(repr(value))


def give_back_stderr(stream: io.StringIO) -> None:
    """Point log handlers that were made while stderr was `stream` to the real one: warnings would go nowhere."""
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    for logger in loggers:
        for handler in getattr(logger, "handlers", ()):
            if getattr(handler, "stream", None) is stream:
                handler.setStream(sys.stderr)


@contextlib.contextmanager
def unheard(*numbers: int) -> Iterator[None]:
    """Let libraries in C++ print where nobody reads it, to the standard streams of these numbers."""
    with SILENCE:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        saved = {}
        try:
            with contextlib.suppress(OSError), open(os.devnull, "wb") as nobody:
                for number in numbers:
                    saved[number] = os.dup(number)
                    os.dup2(nobody.fileno(), number)
            yield
        finally:
            ctypes.CDLL(None).fflush(None)  # what they have not yet printed, since a pipe is filled block by block
            for number, kept in saved.items():
                os.dup2(kept, number)
                os.close(kept)


class SignalStack(ctypes.Structure):
    """The C library's stack_t (Linux): where signal handlers of a thread have their variables."""

    _fields_ = [("place", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


def widen_signal_stack() -> None:
    """Give the handlers of signals room where this thread has a stack of their own, as Python's faulthandler makes one.

    Once a library has computed with the tiles of AMX, the C library saves 11 KB more at the first call of a function,
    so that Ctrl-C would end in a segmentation fault there.
    """
    if not sys.platform.startswith("linux"):
        return
    system, found = ctypes.CDLL(None), SignalStack()
    if system.sigaltstack(None, ctypes.byref(found)) or found.flags & SS_DISABLE or found.size >= SIGNAL_ROOM:
        return
    system.malloc.restype = ctypes.c_void_p
    place = system.malloc(ctypes.c_size_t(SIGNAL_ROOM))  # never freed: a signal may come at any time
    if place:
        system.sigaltstack(ctypes.byref(SignalStack(place, 0, SIGNAL_ROOM)), None)


def plain_termination() -> None:
    """Take SIGTERM back from Paddle, whose handler allocates memory and so can wait for ever for its own thread's lock.

    A handler that Python code has set comes back into force.
    """
    before = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is threading.main_thread() and before is not None:
        signal.signal(signal.SIGTERM, before)
