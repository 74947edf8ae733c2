"""Vocabulary files: lines `token TAB id`, or one token a line."""

import hashlib
import os
import re
from collections.abc import Iterable

from ..checkpoints.released_vocabulary import VOCAB_BYTES, VOCAB_MD5
from ..errors import DataError, advice
from ..files.atomic import atomic_file
from ..files.text import ContentError, decode_text, read_bytes, split_lines

PAD, CLS, SEP, MASK, UNK = "[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"
NEEDED = (PAD, CLS, SEP, UNK)
VOCAB_HINT = "give the vocab.txt that belongs to the model"
MOST_LINES = 500_000
UNREADABLE = re.compile("[\t\n\r\ud800-\udfff]")


def read_vocab(path: str | os.PathLike) -> dict[str, int]:
    """{token: id} of a vocabulary: UTF-8 lines `token TAB id`, or one token a line, whose id is then its line (from 0).

    The first line that is not blank decides which. Ids may have gaps; of a token that occurs twice the last id wins, as
    in the release. Raises DataError, with file and line, for anything else, and where [PAD] (id 0), [CLS], [SEP] or
    [UNK] is missing.
    """
    try:
        text = decode_text(file_content(path), path)
    except ContentError as error:
        raise vocabulary_error(path, error) from None
    lines = split_lines(text)
    if len(lines) > MOST_LINES:
        raise DataError(f"{path}: over {MOST_LINES:,} lines, which no vocabulary has; {VOCAB_HINT}")
    vocab, with_ids = {}, None
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        token, *rest = line.split("\t")
        with_ids = bool(rest) if with_ids is None else with_ids
        index = rest[0].strip() if rest else str(number)
        if bool(rest) != with_ids or len(rest) > 1 or not (index.isascii() and index.isdigit() and len(index) < 10):
            wanted = "`token TAB id`" if with_ids else "one token without a TAB, as the lines above"
            raise DataError(f"{path}:{number + 1}: the line {line[:60]!r} is not {wanted}; correct it, or {VOCAB_HINT}")
        vocab[token.strip()] = int(index)
    if not vocab:
        raise DataError(f"{path}: the vocabulary is empty; {VOCAB_HINT}")
    if missing := ", ".join(token for token in NEEDED if token not in vocab):
        raise DataError(f"{path}: the vocabulary lacks {missing} (or its lines are not `token TAB id`); {VOCAB_HINT}")
    ids = [vocab[token] for token in NEEDED]
    if ids[0] != 0 or len(set(ids)) < len(ids):
        rule = "must be 0 for [PAD], which the text tower masks, and all different"
        raise DataError(f"{path}: the ids of {', '.join(NEEDED)} are {ids}, but {rule}; {VOCAB_HINT}")
    return vocab


def write_vocab(tokens: Iterable[str], path: str | os.PathLike) -> None:
    """Write lines `token TAB id`, ids from 0 in order of `tokens`; `path` is replaced as a whole or not at all.

    Raises DataError for a token that could not be read back (not a str, empty, white space around it, a TAB or line
    break in it, given twice) and where the file cannot be written.
    """
    seen = {}
    for index, token in enumerate(tokens):
        if not (isinstance(token, str) and token and token == token.strip() and not UNREADABLE.search(token)):
            fix = "give strings without white space around them, TABs, line breaks or surrogates"
            raise DataError(f"{path}: token {index} is {token!r}, which cannot be read back; {fix}")
        if seen.setdefault(token, index) != index:
            raise DataError(f"{path}: tokens {seen[token]} and {index} are both {token!r}; give each token once")
    try:
        with atomic_file(path) as handle:
            handle.write("".join(f"{token}\t{index}\n" for token, index in seen.items()).encode())
    except OSError as error:
        fix = advice(error, "choose a folder that exists and has space")
        raise DataError(f"{path}: cannot be written ({error.strerror or error}); {fix}") from None


def check_vocab_md5(path: str | os.PathLike) -> bool:
    """Whether the file is the release's vocabulary, byte for byte. Raises DataError where it cannot be read."""
    return hashlib.md5(file_content(path), usedforsecurity=False).hexdigest() == VOCAB_MD5


def vocabulary_error(path: str | os.PathLike, error: ContentError) -> ContentError:
    """The error of a text file as one of a vocabulary."""
    reason = error.reason.replace("the file", "the vocabulary", 1)
    return ContentError(path, reason, f"{error.fix}, or {VOCAB_HINT}", error.line)


def file_content(path: str | os.PathLike) -> bytes:
    try:
        return read_bytes(os.fspath(path), VOCAB_BYTES)
    except ContentError as error:
        raise vocabulary_error(path, error) from None
    except (OSError, TypeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: the vocabulary cannot be read ({reason}); {advice(error, VOCAB_HINT)}") from None
