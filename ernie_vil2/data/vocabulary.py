"""A vocabulary of captions of one's own: Chinese characters, and word pieces of everything else.

The source is read once, row by row; what is held is how often each token between white space occurs. The order of the
rows, of threads and of hashes changes nothing. A character that makes words with others gets a token for the head of
a word and one for the rest (`a`, `##a`), so a word of known characters is never [UNK]. Then the two neighbours that
occur together most often become a longer piece, again and again (Sennrich et al., arXiv 1508.07909), until the size is
reached or no two neighbours occur twice.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError, DataError
from ..messages import LEFT_OUT, counted
from .sources.base import RowError, Source
from .tag_prompts import PROMPTS, tag_prompt
from .tokenizer import CLEAN, LONGEST_WORD, Tokenizer, is_cjk, words
from .vocabulary_file import CLS, MASK, PAD, SEP, UNK, write_vocab

SPECIAL = (PAD, CLS, SEP, MASK, UNK)
CONTINUED = "##"
LEAST_COUNT = 2  # a piece that occurs once learns nothing that its characters do not
REPEATS = 1000  # of a word in one text for the trainer, which counts by itself
SHOWN = 20


@dataclass
class Counts:
    """How often each token between white space occurs in a source, in captions and in the prompts of tags."""

    captions: int = 0
    tagged: int = 0
    caption_tokens: Counter = field(default_factory=Counter)
    tag_tokens: Counter = field(default_factory=Counter)
    bad: int = 0
    bad_rows: list[str] = field(default_factory=list)  # the first SHOWN

    def words(self, lower_case: bool) -> Counter:
        """{word: count}, without the words that are [UNK] for their length."""
        found = Counter()
        for tokens in (self.caption_tokens, self.tag_tokens):
            for token, count in tokens.items():
                for word in words(token, lower_case):
                    if len(word) <= LONGEST_WORD:
                        found[word] += count
        return found


@dataclass(frozen=True)
class Unknown:
    """How many tokens texts have, and how many of them are [UNK]."""

    tokens: int
    unknown: int

    def __str__(self) -> str:
        return f"{100 * self.unknown / max(self.tokens, 1):.2f} % of {self.tokens:,}"


@dataclass(frozen=True)
class VocabularyReport:
    """What a vocabulary holds and what it leaves unknown."""

    counts: Counts
    size: int
    chinese: int
    other: int
    pieces: int
    rare: int
    captions: Unknown
    tags: Unknown

    @property
    def tokens(self) -> int:
        """Tokens of the vocabulary, special ones included; at most `size`."""
        return len(SPECIAL) + self.chinese + self.other + self.pieces

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self):
        counts = self.counts
        yield f"captions         {counts.captions:,}"
        if counts.tagged:
            yield f"tags             of {counted(counts.tagged, 'row')}, as prompts in {' and '.join(PROMPTS)}"
        yield f"tokens           {self.tokens:,} of at most {self.size:,}, {len(SPECIAL)} of them special"
        yield f"Chinese          {counted(self.chinese, 'character')}"
        others = counted(self.other, "character")
        yield f"others           {others} (first in a word, and later), {self.pieces:,} longer pieces"
        if self.rare:
            yield f"rare             {counted(self.rare, 'character is', 'characters are')} left out by --coverage"
        tags = f", {self.tags} of tags" if counts.tagged else ""
        yield f"{UNK:<17}{self.captions} tokens of captions{tags}"
        if counts.bad:
            yield f"{counted(counts.bad, *LEFT_OUT)}:"
            yield from counts.bad_rows
            if counts.bad > len(counts.bad_rows):
                more = counts.bad - len(counts.bad_rows)
                yield f"... and {more:,} more; `ernie-vil2 data check` counts them by cause"


def write_vocabulary(
    source: Source,
    path: str | Path,
    size: int,
    lower_case: bool = True,
    coverage: float = 1.0,
    progress: Callable[[Iterable], Iterable] = iter,
) -> VocabularyReport:
    """Write the vocabulary of a source's captions and tags to `path`, as a whole or not at all.

    size: most tokens; lower_case: as of the Tokenizer that will read it; coverage: share of all characters of the texts
    that the vocabulary must know, rare ones being left out first; progress: wraps the iterator of rows. Raises
    ConfigError where `size` is too small for the characters, naming the least size, and DataError where no caption can
    be read or the file cannot be written.
    """
    if not 0 < coverage <= 1:
        raise ConfigError(f"--coverage is {coverage}; give a share above 0 and up to 1")
    counts = count(source, progress)
    found = counts.words(lower_case)
    characters, rare = alphabet(found, coverage)
    if not characters:
        first = f"the first bad row is {counts.bad_rows[0]}" if counts.bad else "give a source with captions"
        raise DataError(f"{source.name}: no caption holds a character to make a vocabulary of; {first}")
    chinese = [character for character in characters if is_cjk(ord(character))]
    rest = [character for character in characters if not is_cjk(ord(character))]
    other = [*rest, *(CONTINUED + character for character in rest if not is_set_apart(character))]
    least = len(SPECIAL) + len(chinese) + len(other)
    if size < least:
        raise ConfigError(
            f"--size {size} is too small for {len(SPECIAL)} special tokens and the {len(characters):,} characters of "
            f"{source.name}; give at least --size {least}, or leave rare characters out with a --coverage below "
            f"{coverage:g}"
        )
    pieces = longer_pieces(found, other, size - least)
    write_vocab([*SPECIAL, *chinese, *other, *pieces], path)
    tokenizer = Tokenizer(path, lower_case=lower_case)
    shares = (unknown(tokenizer, tokens) for tokens in (counts.caption_tokens, counts.tag_tokens))
    return VocabularyReport(counts, size, len(chinese), len(other), len(pieces), rare, *shares)


def count(source: Source, progress: Callable[[Iterable], Iterable] = iter) -> Counts:
    """Read a whole source once; bad rows are counted, and the first ones named."""
    counts = Counts()
    for index in progress(range(len(source))):
        try:
            sample = source[index]
        except DataError as error:
            counts.bad += 1
            if len(counts.bad_rows) < SHOWN:
                counts.bad_rows.append(str(error) if isinstance(error, RowError) else f"{source.where(index)}: {error}")
            continue
        counts.captions += len(sample.texts)
        for text in sample.texts:
            counts.caption_tokens.update(text.translate(CLEAN).split())
        if sample.tags:
            counts.tagged += 1
            for language in PROMPTS:
                counts.tag_tokens.update(tag_prompt(sample.tags, language).translate(CLEAN).split())
    return counts


def alphabet(found: dict[str, int], coverage: float) -> tuple[list[str], int]:
    """The characters of counted words, the most frequent first, and how many rare ones `coverage` leaves out."""
    counts = Counter()
    for word, number in found.items():
        for character in word:
            counts[character] += number
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    wanted, kept = math.ceil(coverage * counts.total()), 0
    for position, character in enumerate(ranked):
        if kept >= wanted:
            return ranked[:position], len(ranked) - position
        kept += counts[character]
    return ranked, 0


def is_set_apart(character: str) -> bool:
    """Whether a character is always a word by itself, as ideographs and punctuation are."""
    return len(words((2 * character).translate(CLEAN), lower_case=False)) == 2


def longer_pieces(found: dict[str, int], characters: list[str], room: int) -> list[str]:
    """At most `room` pieces of two or more of the `characters`, which are heads of words (`a`) and later ones (`##a`).

    Words with other characters are passed over.
    """
    from tokenizers import Tokenizer as Trained
    from tokenizers.models import WordPiece
    from tokenizers.pre_tokenizers import CharDelimiterSplit
    from tokenizers.trainers import WordPieceTrainer

    known = set(characters)
    usable = sorted(word for word in found if len(word) > 1 and known.issuperset(word))
    if not usable or not room:
        return []
    model = Trained(WordPiece(unk_token=UNK))
    model.pre_tokenizer = CharDelimiterSplit(" ")
    # Characters that the trainer finds by itself are numbered as its hash table goes, and ties go by the number.
    trainer = WordPieceTrainer(
        vocab_size=len(characters) + room,
        min_frequency=LEAST_COUNT,
        show_progress=False,
        special_tokens=characters,
        continuing_subword_prefix=CONTINUED,
    )
    model.train_from_iterator(repeated(usable, found), trainer)
    numbers = model.get_vocab()
    return sorted(numbers.keys() - known, key=numbers.get)


def repeated(usable: list[str], found: dict[str, int]) -> Iterator[str]:
    """Texts in which each word stands as often as it was counted."""
    for word in usable:
        whole, left = divmod(found[word], REPEATS)
        for _ in range(whole):
            yield f"{word} " * REPEATS
        yield f"{word} " * left


def unknown(tokenizer: Tokenizer, tokens: dict[str, int]) -> Unknown:
    """How many pieces the counted tokens have, and how many of them are [UNK]."""
    total = missing = 0
    for token, number in tokens.items():
        pieces = tokenizer.tokens(token)
        total += number * len(pieces)
        missing += number * pieces.count(UNK)
    return Unknown(total, missing)
