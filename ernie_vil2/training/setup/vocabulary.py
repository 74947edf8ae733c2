"""The vocabulary of a run: the one that is named, that of the weights to start from, or one made for drawn scenes."""

import os
from pathlib import Path

from ...config.run import RunConfig
from ...config.towers import KINDS
from ...data.sources.scenes.vocabulary import build_vocab
from ...data.tokenizer import Tokenizer
from ...data.vocabulary_file import file_content
from ...errors import ConfigError
from ...files.atomic import atomic_file, temporary_name
from ..distributed import Ranks
from .completion import fitting_rows


def prepare_vocab(config: RunConfig, folder: str | os.PathLike) -> Path:
    """The vocabulary file of a run, copied or built into `folder`; ConfigError when none is known, or when another one
    is there already."""
    target = Path(folder) / "vocab.txt"
    if config.data.vocab:
        key, source = "data.vocab", Path(config.data.vocab)
    elif config.init.text:
        key, source = "init.text", Path(config.init.text) / "vocab.txt"
    elif KINDS[config.model.text_tower.kind].looked_up and Path(config.model.text_tower.paddlenlp).is_dir():
        key, source = "text_tower.paddlenlp", Path(config.model.text_tower.paddlenlp) / "vocab.txt"
    elif is_scenes(config.data.train):
        made = temporary_name(target)
        try:
            build_vocab(made)
            return keep(made, target, "that of the drawn scenes")
        finally:
            made.unlink(missing_ok=True)
    else:
        raise ConfigError(
            "data.vocab is not set; name the vocabulary file, for example the release's vocab.txt, or one made of your "
            "captions by `ernie-vil2 data vocab SOURCE vocab.txt --size 20000`"
        )
    if not source.is_file():
        raise ConfigError(f"the vocabulary {source} does not exist; correct {key}")
    return keep(source, target, str(source))


def keep(source: Path, target: Path, name: str) -> Path:
    """`target` with the content of a vocabulary; ConfigError where another one stands there."""
    content = file_content(source)
    if target.exists() and file_content(target) != content:
        raise ConfigError(
            f"{target} exists and is another vocabulary than {name}; remove it, or choose another folder with "
            "-o output=..."
        )
    if not target.exists():
        with atomic_file(target) as handle:
            handle.write(content)
    return target


def is_scenes(spec: object) -> bool:
    """Whether a source is the embedded data set."""
    return (isinstance(spec, dict) and spec.get("kind") == "scenes") or (
        isinstance(spec, str) and spec.split(":")[0] == "scenes"
    )


def open_vocabulary(config: RunConfig, resumed: str | os.PathLike | None, ranks: Ranks) -> Tokenizer:
    """The tokenizer of a run, from the vocabulary that is put into its output folder: that of the checkpoint `resumed`,
    or a new one. Rows of the word embedding are filled in where the configuration leaves them open."""
    vocab, model = Path(config.output) / "vocab.txt", config.model
    if ranks.main:
        vocab.parent.mkdir(parents=True, exist_ok=True)
        if resumed:
            with atomic_file(vocab) as handle:
                handle.write(file_content(Path(resumed) / "vocab.txt"))
        else:
            prepare_vocab(config, vocab.parent)
    ranks.wait()
    tokenizer = Tokenizer(vocab, model.max_length, model.lower_case, model.tokenizer, model.fixed_length)
    tower = model.text_tower
    tower.vocab_size = fitting_rows(tower.vocab_size, tokenizer.vocab_size, config.data.vocab or vocab)
    return tokenizer
