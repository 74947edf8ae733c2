"""Where no more files may be open, shards are still read, and no row is called bad for it."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

READ = """
import os, resource, sys
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.sources.usable import read_row
source = open_source(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[2])))
held = []
try:
    while len(sys.argv) > 3:
        held.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
try:
    for row in range(len(source)):
        read_row(source, row)
    print(len(source))
except OSError as error:
    print("system:", error.strerror)
except Exception as error:
    print(type(error), error)
"""


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """40 tars of a sample each, made from drawn scenes."""
    from ernie_vil2.data.sources.open import open_source
    from ernie_vil2.data.sources.tar.write import write_shards

    folder = tmp_path_factory.mktemp("shards")
    write_shards(open_source("scenes:size=40,image_size=32"), folder / "in", per_shard=1)
    (folder / "rows.jsonl").write_text('{"image": "a.jpg", "text": "x"}')
    (folder / "a.jpg").write_bytes(b"x")
    return folder


def read(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", READ, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize("limit", [12, 30])
def test_more_shards_are_read_than_files_may_be_open(shards, limit):
    assert read(shards / "in", limit) == "40"


@pytest.mark.parametrize("name", ["in", "rows.jsonl"])
def test_no_row_is_bad_because_no_file_can_be_opened(shards, name):
    assert read(shards / name, 30, "all") == "system: Too many open files"
