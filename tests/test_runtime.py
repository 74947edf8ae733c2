"""CPU settings: made before Paddle is imported, never over the user's own, with a warning when it is too late."""

import importlib.util
import os
import signal
import subprocess
import sys
import warnings

import pytest

from ernie_vil2 import runtime
from tests.conftest import ROOT

REPORTS_NOTHING = ("CI", "TF_BUILD", "JENKINS_URL", "NNCF_CI", "NNCF_DEV")
"""Variables of build servers, under which these libraries report nothing anyway"""
OURS = ("OMP_NUM_THREADS", "MKL_DEBUG_CPU_TYPE", "FLAGS_use_stride_kernel")


@pytest.fixture
def clean(monkeypatch):
    for name in OURS:
        monkeypatch.setenv(name, "")  # so that what `prepare` sets is taken back after the test
        monkeypatch.delenv(name)
    monkeypatch.setattr(runtime, "keep_freed_memory", lambda: None)
    return monkeypatch


def test_settings_are_made_and_the_matrix_path_is_for_amd_only(clean):
    clean.delitem(sys.modules, "paddle", raising=False)
    for amd in (False, True):
        clean.setattr(runtime, "is_amd", lambda amd=amd: amd)
        runtime.prepare()
        assert os.environ["OMP_NUM_THREADS"] == str(runtime.cpu_count())
        assert os.environ.get("MKL_DEBUG_CPU_TYPE") == ("5" if amd else None)
        assert os.environ["FLAGS_use_stride_kernel"] == "0"


def test_the_users_own_values_win(clean):
    clean.delitem(sys.modules, "paddle", raising=False)
    for name in OURS:
        clean.setenv(name, "7")
    runtime.prepare()
    assert all(os.environ[name] == "7" for name in OURS)


def test_a_build_for_cards_keeps_its_strided_views_and_its_memory_settings(clean):
    clean.delitem(sys.modules, "paddle", raising=False)
    clean.setattr(runtime, "is_cpu_build", lambda: False)
    clean.setattr(runtime, "keep_freed_memory", lambda: pytest.fail("freed memory is kept"))
    runtime.prepare()
    assert "FLAGS_use_stride_kernel" not in os.environ


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Function (*distributions, plugins=()) -> folder, where Python finds them and a `paddle` with plug-ins first."""

    def build(*distributions, plugins=()):
        (tmp_path / "paddle").mkdir()
        (tmp_path / "paddle" / "__init__.py").touch()
        for name in distributions:
            folder = tmp_path / f"{name.replace('-', '_')}-3.3.1.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 3.3.1\n")
        (tmp_path / "paddle_custom_device").mkdir()
        for name in plugins:
            (tmp_path / "paddle_custom_device" / name).touch()
        return tmp_path

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("CUSTOM_DEVICE_ROOT", raising=False)  # which Paddle sets once it is imported
    return build


@pytest.mark.parametrize("name", ["paddlepaddle-gpu", "paddlepaddle-xpu", "paddlepaddle-dcu"])
def test_builds_for_cards_are_no_cpu_builds(site, name):
    site("paddlepaddle", name)
    assert not runtime.is_cpu_build()


def test_a_cpu_build_with_a_plug_in_is_none(site):
    site("paddlepaddle", "paddle-custom-npu", plugins=["libpaddle-custom-npu.so", "__init__.py"])
    assert [path.name for path in runtime.device_plugins()] == ["libpaddle-custom-npu.so"]
    assert not runtime.is_cpu_build()


def test_a_cpu_build_is_one_beside_a_folder_without_libraries(site):
    site("paddlepaddle", "paddle-other", plugins=["__init__.py"])
    assert runtime.is_cpu_build()


def test_plug_ins_are_looked_for_where_paddle_looks_for_them(site, monkeypatch, tmp_path):
    folder = site("paddlepaddle", plugins=["libpaddle-custom-npu.so"])
    monkeypatch.setenv("CUSTOM_DEVICE_ROOT", "")
    assert runtime.is_cpu_build()
    monkeypatch.setenv("CUSTOM_DEVICE_ROOT", str(folder / "paddle"))
    assert runtime.is_cpu_build()
    monkeypatch.setenv("CUSTOM_DEVICE_ROOT", str(folder / "paddle_custom_device"))
    assert not runtime.is_cpu_build()


def test_paddle_first_is_a_warning_that_says_what_to_set(clean):
    clean.setitem(sys.modules, "paddle", object())
    with pytest.warns(RuntimeWarning, match="import ernie_vil2 first or set OMP_NUM_THREADS="):
        runtime.prepare()
    assert not any(name in os.environ for name in OURS)
    for name in OURS:
        clean.setenv(name, "1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runtime.prepare()


def test_paddle_really_reads_them():
    code = (
        "import ernie_vil2, paddle; x = paddle.ones([2, 3]); y = paddle.transpose(x, [1, 0]); "
        "print(y.is_contiguous(), paddle.get_flags('FLAGS_use_stride_kernel'))"
    )
    environment = {key: value for key, value in os.environ.items() if key not in OURS}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split()[0] == str(runtime.is_cpu_build()), done.stdout


@pytest.mark.parametrize("library", ["openvino", "nncf"])
def test_no_library_reports_its_use_or_leaves_an_identifier_in_the_home(tmp_path, library):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    code = (
        f"import ernie_vil2, {library}, sys; "
        "print([name for name, module in sys.modules.items() if module and name.startswith('openvino_telemetry')])"
    )
    environment = {key: value for key, value in os.environ.items() if key not in REPORTS_NOTHING}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]" and not (tmp_path / "intel").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
@pytest.mark.parametrize("handlers", (True, False))
def test_handlers_of_signals_have_room_where_they_have_a_stack_of_their_own(handlers):
    """With the stack of faulthandler alone, a signal ends a process in SIGSEGV that has computed with AMX's tiles."""
    code = (
        f"import ctypes, faulthandler; {'faulthandler.enable()' if handlers else ''}\n"
        "from ernie_vil2 import runtime, threads\n"
        "threads.note_computing()\nfound = runtime.SignalStack()\n"
        "ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found))\n"
        "print(bool(found.flags & runtime.SS_DISABLE), found.size >= runtime.SIGNAL_ROOM)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == (["False", "True"] if handlers else ["True", "False"])


def test_sigterm_ends_a_process_whatever_it_is_doing():
    code = (
        "from ernie_vil2.runtime import import_paddle; import_paddle(); print('busy', flush=True)\n"
        "while True: [bytearray(size) for size in range(100, 2000)]  # holds the allocator's lock most of the time"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", code], **pipes) for _ in range(4)]
    try:
        for process in processes:
            assert process.stdout.readline() == "busy\n"
            process.terminate()
        assert [process.wait(30) for process in processes] == [-signal.SIGTERM] * 4
        assert "Fatal" not in "".join(process.stderr.read() for process in processes)  # Paddle's handler did not run
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()


def test_warnings_of_the_log_reach_a_person_after_the_quiet_import(tmp_path):
    code = (
        "import logging, sys; from ernie_vil2.runtime import import_paddle; import_paddle(); "
        "logging.getLogger('ernie_vil2').warning('what was taken'); print(sys.stderr is sys.__stderr__)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "True\n" and "what was taken" in done.stderr


@pytest.mark.parametrize("value", ["x", "", "1.5"])
def test_a_variable_that_breaks_paddles_import_is_named(value):
    code = (
        "from ernie_vil2.errors import run_tool; from ernie_vil2.runtime import import_paddle; "
        "run_tool(lambda argv: import_paddle())"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        env={**os.environ, "PADDLE_TRAINER_ID": value},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.strip().split("\n")[-1] == (
        f"error: Paddle takes PADDLE_TRAINER_ID, which is {value!r}, for a number when it is imported; clear it with: "
        "unset PADDLE_TRAINER_ID"
    )
