"""A vocabulary made of captions knows them all, keeps to its size, and is the same file however it comes about."""

import json
import os
import re
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ernie_vil2.data.sources.base import RowError, Sample, Source
from ernie_vil2.data.tag_prompts import PROMPTS, tag_prompt
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.data.vocabulary import SPECIAL, write_vocabulary
from ernie_vil2.data.vocabulary_file import UNK, read_vocab
from ernie_vil2.errors import ConfigError, DataError
from tests.conftest import ROOT

CAPTIONS = [
    "一只小猫在草地上，晒太阳！",
    "A cat sleeps on the grass. The cat, sleeping; the CATS slept",
    "Café in Zürich: 25℃ and naïve cafés",
    "猫 cat 猫cat 2024年の猫は ネコ",
    "😀 so funny 😀😀👍🏽 #cat @home $5",
    "龘𠮷豈 한국어 ไทย ΟΔΟΣ İstanbul ﬁ",
]
LARGE = 10_000
WORDS = st.sampled_from(
    ["猫", "狗狗", "cat", "cats", "Cat,", "concatenate", "é", "e\u0301", "😀😀", "한글", "x-y", "[UNK]", "##s"]
)
ANY_CAPTION = st.lists(st.one_of(WORDS, st.text(max_size=6)), max_size=8).map(" ".join)


class ListSource(Source):
    """Rows of captions, or of (captions, tags); None is a bad row."""

    name = "list"

    def __init__(self, rows):
        self.rows = [row if row is None or isinstance(row, tuple) else ((row,), ()) for row in rows]

    def __len__(self):
        return len(self.rows)

    def load(self, index):
        if self.rows[index] is None:
            raise RowError(self.where(index), "bad", "the row is bad", "delete it")
        texts, tags = self.rows[index]
        return Sample(str(index), b"", tuple(texts), tuple(tags), self.where(index))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("vocabulary")


def made(folder, rows, size=LARGE, **options):
    """(report, tokenizer) of the vocabulary of some rows."""
    report = write_vocabulary(ListSource(rows), folder / "vocab.txt", size, **options)
    return report, Tokenizer(folder / "vocab.txt", lower_case=options.get("lower_case", True))


def least_size(folder, rows, **options):
    """The least size that the refusal of a size that is too small names."""
    with pytest.raises(ConfigError) as caught:
        made(folder, rows, 1, **options)
    return int(re.search(r"at least --size (\d+)", str(caught.value))[1])


@pytest.mark.parametrize("lower_case", [True, False])
@given(captions=st.lists(ANY_CAPTION, min_size=1, max_size=6))
@example(captions=CAPTIONS)
def test_its_own_captions_have_no_unknown_token(folder, lower_case, captions):
    report, tokenizer = made(folder, ["a", *captions], lower_case=lower_case)
    pieces = [piece for caption in ["a", *captions] for piece in tokenizer.tokens(caption)]
    assert UNK not in pieces
    assert (report.captions.tokens, report.captions.unknown) == (len(pieces), 0)


def test_words_that_were_not_seen_are_known_by_their_characters(folder):
    tokenizer = made(folder, CAPTIONS)[1]
    assert UNK not in tokenizer.tokens("tac 猫猫 👍😀c ネ猫コ ic℃")
    assert tokenizer.tokens("cat Q") == ["cat", UNK]


def test_chinese_characters_and_punctuation_have_one_token_and_others_two(folder):
    report, tokenizer = made(folder, ["猫狗，猫猫，猫狗!", "eé😀"])
    assert list(tokenizer.vocab) == [*SPECIAL, "猫", "狗", "e", "，", "!", "😀", "##e", "##😀"]
    assert (report.chinese, report.other, report.pieces) == (2, 6, 0)


def test_frequent_words_become_whole(folder):
    report, tokenizer = made(folder, ["sleeping cat", "sleeping dog", "a cat", "heron"])
    assert tokenizer.tokens("sleeping cat") == ["sleeping", "cat"]
    assert len(tokenizer.tokens("heron")) > 1 and report.pieces > 0


@given(captions=st.lists(ANY_CAPTION, max_size=4), size=st.integers(5, 200))
def test_the_size_is_kept_or_the_least_one_is_named(folder, captions, size):
    captions = [*CAPTIONS[:2], *captions, *captions]
    try:
        report, tokenizer = made(folder, captions, size)
    except ConfigError as error:
        least = int(re.search(r"at least --size (\d+)", str(error))[1])
        assert least > size and "\n" not in str(error) and str(error).startswith(f"--size {size} is too small")
        with pytest.raises(ConfigError):
            made(folder, captions, least - 1)
        report, tokenizer = made(folder, captions, least)
        assert report.tokens == least and report.pieces == 0
    else:
        assert report.tokens <= size
    assert list(tokenizer.vocab.values()) == list(range(report.tokens))
    assert list(tokenizer.vocab)[:5] == ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"]


def test_a_size_in_between_is_used_up_by_the_most_frequent_pieces(folder):
    words = ["ab"] * 9 + ["cd"] * 5 + ["ef"] * 3
    least = least_size(folder, words)
    for room, pieces in ((0, []), (1, ["ab"]), (2, ["ab", "cd"]), (3, ["ab", "cd", "ef"]), (4, ["ab", "cd", "ef"])):
        report, tokenizer = made(folder, words, least + room)
        assert list(tokenizer.vocab)[least:] == pieces and report.pieces == len(pieces)


def test_more_repeats_than_a_text_for_the_trainer_holds_are_counted_in_full(folder):
    words = ["ab"] * 1999 + ["cd"] * 2001 + ["ef"] * 2000
    tokenizer = made(folder, [" ".join(words)], least_size(folder, words) + 3)[1]
    assert list(tokenizer.vocab)[-3:] == ["cd", "ef", "ab"]


def test_rare_characters_are_left_out_by_coverage_and_counted_as_unknown(folder):
    captions = ["红猫 cat"] * 99 + ["龘 cats"]
    every, report = least_size(folder, captions), made(folder, captions, coverage=0.99)[0]
    assert report.rare == 2 and least_size(folder, captions, coverage=0.99) == every - 3
    assert (report.captions.tokens, report.captions.unknown) == (99 * 3 + 2, 2)
    assert "[UNK]            0.67 % of 299 tokens of captions" in str(report)
    for coverage in (0, -1, 1.5, float("nan")):
        with pytest.raises(ConfigError, match="--coverage is .*; give a share above 0 and up to 1"):
            made(folder, captions, coverage=coverage)


def test_a_word_of_over_100_characters_is_unknown_and_makes_no_piece(folder):
    report, tokenizer = made(folder, ["ab", "xy" * 51, "xy" * 51])
    assert (report.captions.tokens, report.captions.unknown) == (4, 2)
    assert "x" not in tokenizer.vocab


def test_tags_count_as_the_prompts_of_both_languages(folder):
    tags = ("沙发", "red car")
    report, tokenizer = made(folder, [(("一只猫",), tags), (("二",), ())])
    prompts = [tag_prompt(tags, language) for language in PROMPTS]
    assert not any(UNK in tokenizer.tokens(prompt) for prompt in prompts)
    assert report.counts.tagged == 1 and report.captions.tokens == 4
    assert report.tags.tokens == sum(len(tokenizer.tokens(prompt)) for prompt in prompts)


def test_bad_rows_are_left_out_counted_and_named(folder):
    report, _ = made(folder, ["cat", *[None] * 22, "dog"])
    assert (report.counts.captions, report.counts.bad) == (2, 22)
    text = str(report)
    assert "22 bad rows were left out:\nlist:2: the row is bad; delete it\nlist:3:" in text
    assert text.count("list:") == 20 and "... and 2 more" in text


@pytest.mark.parametrize("rows", [[None, None], ["\u200b", "\0"], [" "]])
def test_a_source_without_a_character_is_refused(folder, rows):
    (folder / "vocab.txt").write_text("as before")
    with pytest.raises(DataError, match="no caption holds a character") as caught:
        made(folder, rows)
    assert ("list:1: the row is bad" in str(caught.value)) == (rows[0] is None)
    assert (folder / "vocab.txt").read_text() == "as before"


def test_the_file_depends_on_the_captions_alone(tmp_path):
    """Processes with other seeds of their hash tables, other numbers of threads, other orders of the rows."""
    captions = [*CAPTIONS, *(f"{one}{two}{one} {one}{two}" for one in "abcdefghijk" for two in "стуфхцчшщыэюя")]
    code = (
        "import sys; from ernie_vil2.data.sources.open import open_source;"
        "from ernie_vil2.data.vocabulary import write_vocabulary;"
        "write_vocabulary(open_source(sys.argv[1]), sys.argv[2], 250)"
    )
    files = []
    for number, rows in enumerate((captions, captions[::-1])):
        source, out = tmp_path / f"{number}.jsonl", tmp_path / f"{number}.txt"
        lines = (json.dumps({"image_base64": "AAAA", "id": str(row), "text": text}) for row, text in enumerate(rows))
        source.write_text("\n".join(lines))
        variables = {"PYTHONHASHSEED": str(number), "RAYON_NUM_THREADS": str(number + 1), "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", code, source, out], env={**os.environ, **variables}, check=True)
        files.append(out.read_bytes())
    assert files[0] == files[1] and len(read_vocab(tmp_path / "0.txt")) == 250


def test_captions_are_not_held(folder):
    """A source that hands out a caption only after the one before has been freed."""
    import weakref

    class Text(str):
        """A str that can be watched."""

    class Watched(ListSource):
        alive = 0

        def load(self, index):
            assert Watched.alive <= 1
            Watched.alive += 1
            text = Text(f"cat {index % 10}")
            weakref.finalize(text, self.freed)
            return Sample(str(index), b"", (text,), (), self.where(index))

        @staticmethod
        def freed():
            Watched.alive -= 1

    report = write_vocabulary(Watched([""] * 50), folder / "vocab.txt", LARGE)
    assert report.counts.captions == 50


def test_capitals_and_accents_stay_where_case_is_kept(folder):
    kept, lowered = (made(folder, ["Café Café"], lower_case=lower)[1].vocab for lower in (False, True))
    assert "Café" in kept and "cafe" not in kept
    assert "cafe" in lowered and not any(unicodedata.normalize("NFD", token) != token for token in lowered)
