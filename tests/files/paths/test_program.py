"""A command that is told to be copied is one that the shell finds."""

import shlex
import subprocess
import sys

import pytest

from ernie_vil2.files.paths import program


@pytest.fixture
def environments(tmp_path, monkeypatch):
    """Two environments that have the command, in a folder with a blank in its name; the first one runs."""
    monkeypatch.chdir(tmp_path)
    for name in ("an env", "other"):
        (tmp_path / name).mkdir()
        command = tmp_path / name / program.NAME
        command.write_text(f'#!/bin/sh\necho "{name}: $@"\n')
        command.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "an env/python"))
    return tmp_path


@pytest.mark.parametrize("path", ["/usr/bin:/bin", "an env:/usr/bin:/bin", "other:/usr/bin:/bin"])
def test_it_runs_the_command_of_this_environment(environments, monkeypatch, path):
    monkeypatch.setenv("PATH", path)
    told = program.typed("serve", "my index")
    done = subprocess.run(["/bin/sh", "-c", told], capture_output=True, text=True)
    assert done.stdout == "an env: serve my index\n", told


def test_it_is_short_where_it_can_be(environments, monkeypatch):
    monkeypatch.setenv("PATH", "an env")
    assert program.typed("serve", "demo/run/index") == "ernie-vil2 serve demo/run/index"
    monkeypatch.setenv("PATH", "")
    assert program.typed("serve", "x") == "'an env/ernie-vil2' serve x"
    monkeypatch.chdir("other")
    assert shlex.split(program.typed("serve", "x"))[0] == str(environments / "an env/ernie-vil2")


def test_without_the_command_there_is_python(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "")
    assert program.typed("serve") == f"{tmp_path}/python -m ernie_vil2.cli serve"
