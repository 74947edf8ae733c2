"""Texts to token ids by the release's rules: BERT's basic tokenisation, WordPiece, [CLS] and [SEP].

The rules, in this order: drop NUL, U+FFFD and every character of category C (lone surrogates and unassigned ones too),
make blanks of white space, set CJK ideographs apart, split at white space; lower-case each token as a whole (a final
sigma depends on it), decompose it, drop its marks (category Mn), set punctuation apart, split at white space again.
Python's own `unicodedata` and `str.lower` decide, since the Rust library's differ from them. All of this is two
`str.translate` calls; the ids of a token between white space are remembered, so a Chinese caption is a few look-ups.
"""

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from numbers import Integral

import numpy as np

from ..errors import DataError
from .vocabulary_file import MASK, NEEDED, UNK, read_vocab

LONGEST_WORD = 100  # characters; a longer word is [UNK]
REMEMBERED_LENGTH, REMEMBERED_TOKENS, REMEMBERED_CHARACTERS = 32, 1 << 16, 1 << 17
CJK = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip
UNREAD = "\ufffd\ufffc\u2800\u115f\u1160\u3164\uffa0"
"""Marks of what was lost or is elsewhere, and letters and signs without a stroke: no category tells them"""
PADDLENLP_SYMBOLS = "\u00ad\u00b2\u00ba\u3007\u00b5\u00d8\u014b\u01b1"


class Characters(dict):
    """A table for `str.translate` that asks `rule` (code point -> str, int or None) once a character."""

    def __init__(self, rule: Callable[[int], str | int | None]):
        super().__init__()
        self.rule = rule

    def __missing__(self, code):
        value = self.rule(code)
        if len(self) < REMEMBERED_CHARACTERS:
            self[code] = value
        return value


def _clean(code):
    category = unicodedata.category(chr(code))
    if code in (9, 10, 13) or category == "Zs":
        return " "
    if category[0] == "C" or code == 0xFFFD:
        return None
    return f" {chr(code)} " if is_cjk(code) else code


def is_cjk(code: int) -> bool:
    """Whether a code point is a CJK ideograph, which is a word by itself."""
    return any(first <= code <= last for first, last in CJK)


def is_blank(text: str) -> bool:
    """Whether a text has nothing to read: white space, controls, characters of no width, marks without a letter."""
    return not any(unicodedata.category(character)[0] not in "ZCM" and character not in UNREAD for character in text)


def _set_apart(code):
    """ASCII symbols such as $ and ^ count as punctuation, whatever their category."""
    symbol = 32 < code < 127 and not chr(code).isalnum()
    return f" {chr(code)} " if symbol or unicodedata.category(chr(code))[0] == "P" else code


def _set_symbols_apart(code):
    """PaddleNLP's rule: every symbol counts as punctuation, and eight other characters too."""
    symbol = unicodedata.category(chr(code))[0] == "S" or chr(code) in PADDLENLP_SYMBOLS
    return f" {chr(code)} " if symbol else _set_apart(code)


def _without_marks(rule):
    return lambda code: None if unicodedata.category(chr(code)) == "Mn" else rule(code)


CLEAN = Characters(_clean)
APART = {
    rules: {False: Characters(rule), True: Characters(_without_marks(rule))}
    for rules, rule in (("bert", _set_apart), ("paddlenlp", _set_symbols_apart))
}
"""{rules: {whether text is lower-cased: the table that sets punctuation apart}}."""


def words(token: str, lower_case: bool = True, rules: str = "bert") -> list[str]:
    """The words, which WordPiece cuts into pieces, of one token between the white space of a cleaned text."""
    if lower_case:
        token = unicodedata.normalize("NFD", token.lower())
    return token.translate(APART[rules][lower_case]).split()


class TokenIds(dict):
    """Token between white space -> ids of its pieces; short tokens are remembered, REMEMBERED_TOKENS at most."""

    def __init__(self, vocab: dict[str, int], lower_case: bool, rules: str):
        from tokenizers.models import WordPiece

        super().__init__()
        self.vocab, self.lower_case, self.rules = vocab, lower_case, rules
        self.model = WordPiece(vocab=vocab, unk_token=UNK, max_input_chars_per_word=LONGEST_WORD)

    def __missing__(self, token):
        ids = map(self.vocab.__getitem__, self.pieces(token))
        if len(token) > REMEMBERED_LENGTH:
            return ids  # lazily, so that a truncated text costs no more than the pieces it keeps
        if len(self) >= REMEMBERED_TOKENS:
            self.clear()
        ids = self[token] = tuple(ids)
        return ids

    def pieces(self, token: str) -> Iterator[str]:
        """Yield the pieces, as strings, of one token."""
        for word in words(token, self.lower_case, self.rules):
            if len(word) > LONGEST_WORD:
                yield UNK
            elif word in self.vocab:
                yield word
            else:
                yield from (piece.value for piece in self.model.tokenize(word))


class Tokenizer:
    """Texts -> ids, equal to the release's on every string; can be pickled, and shared by threads.

    vocab: path of a vocabulary (see `read_vocab`); max_length: most ids a text gets, [CLS] and [SEP] included;
    lower_case: lower-case and strip accents; rules: `bert`, as the release, or `paddlenlp`, which sets symbols beyond
    ASCII apart too; fixed_length: pad every text to max_length, for a model that reads the padding, as BriVL does.
    Attributes: `vocab` {token: id}, `max_length`, `lower_case`, `rules`, `fixed_length`, `vocab_size`
    (highest id + 1, the rows that an embedding table needs), `pad_id` (0), `cls_id`, `sep_id`, `unk_id`, and `mask_id`,
    None where there is no [MASK]. Raises DataError for a vocabulary or a length that cannot work.
    """

    def __init__(
        self,
        vocab: str | os.PathLike,
        max_length: int = 48,
        lower_case: bool = True,
        rules: str = "bert",
        fixed_length: bool = False,
    ):
        self.max_length = _checked_length(max_length)
        self.lower_case = bool(lower_case)
        self.rules, self.fixed_length = rules, bool(fixed_length)
        self.vocab = read_vocab(vocab)
        self.pad_id, self.cls_id, self.sep_id, self.unk_id = (self.vocab[token] for token in NEEDED)
        self.mask_id = self.vocab.get(MASK)
        self.vocab_size = max(self.vocab.values()) + 1
        self._ids = TokenIds(self.vocab, self.lower_case, self.rules)

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "_ids"}

    def __setstate__(self, state):
        vars(self).update(state)
        self._ids = TokenIds(self.vocab, self.lower_case, self.rules)

    def encode(self, texts: str | Sequence[str], max_length: int | None = None) -> np.ndarray:
        """Ids int64 [N, L] of one text (N = 1) or a sequence: [CLS], the first max_length - 2 pieces, [SEP], then 0s.

        L is the length of the longest row, so a batch of short captions is narrow; no texts give [0, 2]. With
        fixed_length it is max_length. Raises DataError naming the position of an item that is not a str.
        """
        room = (self.max_length if max_length is None else _checked_length(max_length)) - 2
        rows = [[self.cls_id, *islice(self._stream(text), room), self.sep_id] for text in checked_texts(texts)]
        width = room + 2 if self.fixed_length else max(map(len, rows), default=2)
        padding = [self.pad_id] * width
        return np.array([row + padding[len(row) :] for row in rows], np.int64).reshape(len(rows), width)

    def lengths(self, texts: str | Sequence[str]) -> np.ndarray:
        """int64 [N]: ids that each text needs, [CLS] and [SEP] included, before truncation. Raises as `encode` does."""
        return np.array([2 + sum(1 for _ in self._stream(text)) for text in checked_texts(texts)], np.int64)

    def tokens(self, text: str) -> list[str]:
        """The pieces of one text as strings, without [CLS] and [SEP], not truncated."""
        checked_texts([text])
        return [piece for token in text.translate(CLEAN).split() for piece in self._ids.pieces(token)]

    def _stream(self, text):
        return chain.from_iterable(map(self._ids.__getitem__, text.translate(CLEAN).split()))


def _checked_length(max_length):
    if not isinstance(max_length, Integral) or max_length < 3:
        raise DataError(f"max_length is {max_length!r}; give a whole number of at least 3: [CLS], one piece, [SEP]")
    return int(max_length)


def checked_texts(texts: object, name: str = "texts") -> list[str]:
    """A list of str; one str is a list of one."""
    if isinstance(texts, str):
        return [texts]
    try:
        items = [texts] if isinstance(texts, (bytes, bytearray)) else list(texts)
    except TypeError:
        raise DataError(f"{name} is of type {type(texts).__name__}; give a str or a sequence of str") from None
    for position, item in enumerate(items):
        if not isinstance(item, str):
            fix = "decode it first" if isinstance(item, (bytes, bytearray)) else "give a str, or leave it out"
            raise DataError(f"{name}[{position}] is of type {type(item).__name__}, not str; {fix}")
    return items
