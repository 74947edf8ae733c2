"""The folder of a run: what is left of it where nothing was written."""

from pathlib import Path

import pytest

from ernie_vil2.errors import ConfigError
from ernie_vil2.files.run_folder import alone_in


def test_a_run_that_wrote_nothing_leaves_no_folder_of_its_own_making(tmp_path):
    (tmp_path / "there").mkdir()
    for name, left in (("new", False), ("there", True)):
        with pytest.raises(ConfigError, match="no vocabulary"), alone_in(tmp_path / name):
            raise ConfigError("no vocabulary")
        assert (tmp_path / name).exists() == left


def test_what_a_run_wrote_stays(tmp_path):
    with alone_in(tmp_path / "run"):
        (tmp_path / "run" / "log.jsonl").write_text("{}\n")
    assert (tmp_path / "run" / "log.jsonl").exists()


def test_who_is_refused_leaves_the_folder_of_the_one_that_is_alone_in_it(tmp_path, monkeypatch):
    with alone_in(tmp_path / "run"):
        monkeypatch.setattr(Path, "exists", lambda path: False)  # as both found it, who began in the same moment
        with pytest.raises(ConfigError, match="another process trains"), alone_in(tmp_path / "run"):
            raise AssertionError("two are alone in a folder")
        assert (tmp_path / "run").is_dir()
