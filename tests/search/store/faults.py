"""A writer that dies, or whose disk is full, at the n-th thing that it asks the system for."""

import builtins
import contextlib
import errno
import itertools
import os
import signal

from ernie_vil2.search.store.segment_files import SummedFile

CALLS = ("replace", "unlink", "mkdir", "rmdir", "open", "fsync")
WRITES = ("replace", "mkdir", "fsync")


@contextlib.contextmanager
def counted(before):
    """While it is entered, `before(name, arguments)` is called ahead of every call that changes files."""
    real = {name: getattr(os, name) for name in CALLS}
    really_open, really_put = builtins.open, SummedFile.put

    def wrapped(name, function):
        def call(*arguments, **options):
            before(name, arguments)
            return None if name == "fsync" else function(*arguments, **options)  # nobody pulls the plug here

        return call

    def opened(path, mode="r", *arguments, **options):
        if "w" in mode:
            before("create", (path,))
        return really_open(path, mode, *arguments, **options)

    def put(file, data):
        view = memoryview(data)
        really_put(file, view[: len(view) // 2])
        before("write", ())
        really_put(file, view[len(view) // 2 :])

    try:
        for name, function in real.items():
            setattr(os, name, wrapped(name, function))
        builtins.open, SummedFile.put = opened, put
        yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)
        builtins.open, SummedFile.put = really_open, really_put


def count_of(job):
    """How many calls a job makes."""
    numbers = itertools.count()
    with counted(lambda name, arguments: next(numbers)):
        job()
    return next(numbers)


def killed(job, moment):
    """Run a job in a process that SIGKILL ends at a call; whether it was ended before it was done."""
    child = os.fork()
    if not child:
        numbers = itertools.count()

        def before(name, arguments):
            if next(numbers) == moment:
                os.kill(os.getpid(), signal.SIGKILL)

        status = 1
        try:
            with counted(before):
                job()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), "the job failed by itself"
    return status != 0


@contextlib.contextmanager
def full_disk(moment, number=errno.ENOSPC):
    """From a call on, nothing can be written any more."""
    numbers = itertools.count()

    def before(name, arguments):
        if name in (*WRITES, "create", "write") and next(numbers) >= moment:
            raise OSError(number, os.strerror(number), *(arguments[:1] if arguments else ()))

    with counted(before):
        yield numbers
