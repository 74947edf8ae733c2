"""The vocabulary in the folder of a run: put there once, and never over another one."""

import pytest

from ernie_vil2.config.run import DataConfig, RunConfig
from ernie_vil2.errors import ConfigError
from ernie_vil2.training.setup.vocabulary import prepare_vocab


@pytest.mark.parametrize("kind", ["file", "scenes"])
def test_a_vocabulary_of_something_else_stays(tmp_path, tiny_vocab, kind):
    given = {"vocab": str(tiny_vocab)} if kind == "file" else {}
    config = RunConfig(data=DataConfig(train={"kind": "scenes", "size": 4}, **given))
    first = prepare_vocab(config, tmp_path).read_bytes()
    assert prepare_vocab(config, tmp_path).read_bytes() == first
    (tmp_path / "vocab.txt").write_text("mine")
    with pytest.raises(ConfigError, match="vocab.txt exists and is another vocabulary than .*; remove it, or choose"):
        prepare_vocab(config, tmp_path)
    assert (tmp_path / "vocab.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny_vocab.txt", "vocab.txt"]
