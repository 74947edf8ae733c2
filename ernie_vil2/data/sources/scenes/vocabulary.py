"""The vocabulary of the drawn scenes."""

import functools
import os

from ...vocabulary_file import write_vocab
from . import captions
from .source import SceneSource
from .words import LANGUAGES


def build_vocab(path: str | os.PathLike, seed: int = 0, scenes: int = 4000) -> None:
    """Write the vocabulary of the scenes' words: every character and whole English word that captions and tags use."""
    write_vocab(list(tokens(seed, scenes)), path)


@functools.cache
def tokens(seed: int, scenes: int) -> tuple[str, ...]:
    """The rows of that vocabulary; they take a second, once a process."""
    source = SceneSource("train", scenes, seed)
    characters, words = set(), set()
    for index in range(scenes):
        scene, rng = source.scene(index), source._rng(index, 1)
        for language in LANGUAGES:
            texts = [captions.caption(scene, language, rng), *captions.tags(scene, language, rng)]
            for text in texts:
                if language == "zh":
                    characters.update(text)
                else:
                    words.update(text.replace(",", " , ").replace(":", " : ").split())
    extra = "该图片包含、，。.,:the picture contains"
    characters.update(character for character in extra if not character.isspace())
    words.update(("the", "picture", "contains"))
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)] + list("0123456789")
    return (
        *("[PAD]", "[CLS]", "[SEP]", "[MASK]"),
        *sorted(characters | words | set(letters)),
        *("##" + letter for letter in letters),
        "[UNK]",
    )
