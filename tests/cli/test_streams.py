"""A closed, full or narrow terminal, a folder that was removed, a missing place for temporary files: no traceback."""

import os
import subprocess
import sys

import pytest

from ernie_vil2.errors import meant, run_tool
from ernie_vil2.files.leftovers import UNCHECKED, aside_name, temporary_name
from tests.conftest import ROOT

TOOL = """
import sys
from ernie_vil2.errors import ConfigError, run_tool
def main(argv):
    print("猫 \\udccd")
    print("note 猫", file=sys.stderr)
    with open("written", "w") as handle:
        handle.write(str(handle.fileno()))
    if argv:
        raise ConfigError("wrong 猫")
run_tool(main, sys.argv[1:])
"""


@pytest.mark.parametrize("shell", [">&-", "2>&-", "<&-", "<&- >&- 2>&-", "| true", ">/dev/full", "2>/dev/full"])
@pytest.mark.parametrize("argument", ["", "wrong"])
def test_no_state_of_the_standard_streams_is_a_traceback(tmp_path, shell, argument):
    (tmp_path / "tool.py").write_text(TOOL)
    line = f"{sys.executable} tool.py {argument} 2>errors {shell}"
    if "2>" in shell:
        line = f"{sys.executable} tool.py {argument} {shell}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True)
    told = done.stderr + ((tmp_path / "errors").read_text() if (tmp_path / "errors").exists() else "")
    assert "Traceback" not in told and "Exception ignored" not in told
    if (tmp_path / "written").exists():
        assert int((tmp_path / "written").read_text()) > 2, "a file got the number of a standard stream"


@pytest.mark.parametrize("encoding", ["gbk", "latin-1", "ascii", "utf-16-le"])
def test_every_terminal_can_show_what_is_told(tmp_path, encoding):
    (tmp_path / "tool.py").write_text(TOOL)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    command = [sys.executable, "tool.py", "wrong"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == 1
    assert "error: wrong" in done.stderr.decode(encoding) and "\\udccd" in done.stdout.decode(encoding)


def test_a_temporary_name_is_told_as_the_name_it_is_for(tmp_path, capsys):
    target = tmp_path / "out"
    for name in (temporary_name(target), aside_name(target), temporary_name(f"{target}{UNCHECKED}")):
        assert meant(name) == str(target) and meant(name / "model.safetensors") == str(target / "model.safetensors")
        with pytest.raises(SystemExit):
            run_tool(lambda argv, name=name: open(name / "x" / "y"))
        said = capsys.readouterr().err
        assert said == f"error: {target}/x/y: No such file or directory; correct the path\n"
