"""Every command of README and of the documents is typed, in order, in an empty folder where the wheel is installed."""

import os
import shutil
import signal
import subprocess

import pytest

from tests.conftest import ROOT
from tests.documents import stand_ins
from tests.documents.page_script import NEEDS, PAGES, blocks, script
from tests.installed import Installed, outside

TRAINED = (
    "ernie-vil2 train -c demo -o data.train=train.jsonl -o data.valid=valid.jsonl -o data.vocab=vocab.txt "
    "-o train.steps=20 -o train.batch_size=8 -o optimizer.warmup=2 -o output=output/try"
)


TIMEOUT = 900
"""Seconds for a page, whose commands take a tenth of that where nothing else runs"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return Installed(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def trained(installed, tmp_path_factory):
    """A sample with a small model in output/try, which README makes as it goes and other pages begin with."""
    place = tmp_path_factory.mktemp("trained")
    for folder, command in ((place, "ernie-vil2 sample mine"), (place / "mine", TRAINED)):
        done = installed.run(folder, *command.split())
        assert done.returncode == 0, done.stderr[-2000:]
    return place / "mine"


@pytest.fixture(scope="module")
def needs(installed, trained, tmp_path_factory):
    """(folder, names) of what pages say that they need."""
    folder = tmp_path_factory.mktemp("needs")
    return folder, stand_ins.write_all(folder, trained, installed.run)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if script(page)[1]], ids=lambda page: page.name)
def test_what_a_page_says_can_be_typed(page, installed, trained, needs, tmp_path):
    folder, names = needs
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


def test_a_page_that_is_not_typed_says_of_every_command_what_it_needs():
    for page in PAGES:
        _, typed, left_out = script(page)
        bash = [block for language, _, block in blocks(page) if language == "bash"]
        assert typed or left_out or not bash, page.name
        assert typed or all(any(line.startswith(NEEDS) for line in block) for block in bash), page.name


def test_most_commands_are_typed():
    done = {page: script(page)[1:] for page in PAGES}
    typed, left_out = done[ROOT / "README.md"]
    assert typed >= 49 and len(left_out) <= 10, left_out
    every = sum(typed for typed, _ in done.values()), sum(len(left_out) for _, left_out in done.values())
    assert every[0] >= 2.5 * every[1], every
