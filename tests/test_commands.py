"""Every command of README and of the documents is typed, in order, in an empty folder where the wheel is installed."""

import os
import re
import shlex
import shutil
import signal
import subprocess

import pytest

from tests.conftest import ROOT
from tests.installed import Installed, outside

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES.remove(ROOT / "docs" / "extending.md")  # tests/test_plugins.py types it, with the files that stand on it
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS = "# needs: "
OF_A_CLONE = re.compile(r"(make|pip|source|sudo)\b|python tools/")
"""Beginnings of commands that are for a clone or for the environment"""
SERVERS = re.compile(r"ernie-vil2 (up|serve) ")
TIMEOUT = 900
"""Seconds for a page, whose commands take a tenth of that where nothing else runs"""
ADDRESS = "http://127.0.0.1:8765"
TRAINED = (
    "ernie-vil2 train -c demo -o data.train=train.jsonl -o data.valid=valid.jsonl -o data.vocab=vocab.txt "
    "-o train.steps=20 -o train.batch_size=8 -o optimizer.warmup=2 -o output=output/try"
)
HEAD = f"""
set -euo pipefail
begin() {{  # a server in the background: its address, once it answers
    "$@" --port 0 > served.txt 2>&1 & servers="$servers $!"
    for _ in $(seq 600); do
        address=$(grep -oE 'http://127.0.0.1:[0-9]+' served.txt | head -1) && [ -n "$address" ] && return
        kill -0 $! || break
        sleep 0.1
    done
    cat served.txt; return 1
}}
finish() {{
    status=$?
    for server in $servers; do kill -TERM $server && wait $server || true; done
    exit $status
}}
servers="" address="{ADDRESS}"
trap finish EXIT
"""


def blocks(page):
    """(language, number of its first line, lines with continued ones joined) of every block that can be typed."""
    text = page.read_text(encoding="utf-8")
    for block in BLOCK.finditer(text):
        number = text[: block.start()].count("\n") + 2
        yield block[1], number, block[2].replace("\\\n", " ").splitlines()


def script(page):
    """(what bash runs, how many commands are in it, how many are left out) of a page."""
    parts, typed, left_out = [HEAD], 0, 0
    for language, number, lines in blocks(page):
        if language == "python":
            if page.name == "README.md" and "demo/run" not in "".join(lines):
                code = "\n".join(lines).replace(f'"{ADDRESS}"', '__import__("os").environ["ADDRESS"]')
                parts.append(f"echo '== {page.name}:{number}'\nADDRESS=$address python - <<'CODE'\n{code}\nCODE")
                typed += 1
            continue
        needs = False
        for line in lines:
            needs = line.startswith(NEEDS) or (needs and bool(line.strip()))
            command = line.partition(" #")[0].strip()
            if not command or command.startswith("#"):
                continue
            if needs or OF_A_CLONE.match(command):
                left_out += 1
                continue
            typed += 1
            parts.append(f"echo '== {page.name}:{number}:' {shlex.quote(command)}")
            if SERVERS.match(command):
                kept = re.search(r" 2?> (\S+)", command)
                command = "begin " + re.sub(r" --open\b| --port \d+| 2?> \S+|\s*&$", "", command)
                command += " --no-open" if " up " in command else ""
                command += f"; ln -sf served.txt {kept[1]}" if kept else ""
            parts.append(command.replace(ADDRESS, "$address"))
    return "\n".join(parts) + "\n", typed, left_out


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


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if script(page)[1]], ids=lambda page: page.name)
def test_what_a_page_says_can_be_typed(page, installed, trained, tmp_path):
    text, _, _ = script(page)
    here = tmp_path / "here"
    here.mkdir() if page.name == "README.md" else shutil.copytree(trained, here)
    path = f"{installed.folder / 'bin'}:{outside()['PATH']}"
    shell = subprocess.Popen(
        ["bash", "-c", text],
        cwd=here,
        env=outside(PATH=path, HOME=str(tmp_path / "home"), OMP_NUM_THREADS="1"),
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


def test_most_commands_of_readme_need_nothing():
    _, typed, left_out = script(ROOT / "README.md")
    assert typed >= 30 and typed > left_out, (typed, left_out)
