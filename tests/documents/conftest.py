"""What is typed in: an environment with the wheel, a sample with a small model, and stand-ins of what pages need."""

import os
import shutil
import signal
import subprocess

import pytest

from tests.documents import stand_ins
from tests.documents.page_script import script
from tests.installed import Installed, outside

TRAINED = (
    "ernie-vil2 train -c demo -o data.train=train.jsonl -o data.valid=valid.jsonl -o data.vocab=vocab.txt "
    "-o train.steps=20 -o train.batch_size=8 -o optimizer.warmup=2 -o output=output/try"
)

TIMEOUT = 900
"""Seconds for a page, whose commands take a tenth of that where nothing else runs"""


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    return Installed(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="session")
def trained(installed, tmp_path_factory):
    """A sample with a small model in output/try, which README makes as it goes and other pages begin with."""
    place = tmp_path_factory.mktemp("trained")
    for folder, command in ((place, "ernie-vil2 sample mine"), (place / "mine", TRAINED)):
        done = installed.run(folder, *command.split())
        assert done.returncode == 0, done.stderr[-2000:]
    return place / "mine"


@pytest.fixture(scope="session")
def needs(installed, trained, tmp_path_factory):
    """(folder, names) of what pages say that they need."""
    folder = tmp_path_factory.mktemp("needs")
    return folder, stand_ins.write_all(folder, trained, installed.run)


@pytest.fixture
def typed(installed, trained, needs, tmp_path):
    """Function (page): type all of it, in a folder of its own; AssertionError with the last command."""
    folder, names = needs

    def type_it(page):
        text, _, _ = script(page, names)
        here = tmp_path / "here"
        here.mkdir() if page.name == "README.md" else shutil.copytree(trained, here)
        path = f"{installed.folder / 'bin'}:{outside()['PATH']}"
        shell = subprocess.Popen(
            ["bash", "-c", text],
            cwd=here,
            env=outside(PATH=path, HOME=str(tmp_path / "home"), OMP_NUM_THREADS="1", STAND_INS=str(folder)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            out, err = shell.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)  # the servers in its background too
            out, err = shell.communicate()
        last = [line for line in out.splitlines() if line.startswith("== ")][-1:]
        assert shell.returncode == 0, f"{last}\n{out[-1500:]}\n{err[-2500:]}"

    return type_it
