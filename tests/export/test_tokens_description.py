"""The `tokenizers` library, with what export.json says of tokens, gives the ids of our own tokenizer."""

import functools
import json
import sys
import unicodedata
from itertools import chain

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ernie_vil2.data.tokenizer import CLEAN, Tokenizer, is_cjk, words
from ernie_vil2.data.vocabulary_file import write_vocab
from ernie_vil2.export.tokens_description import SURROGATES, tokens_description


def is_other(code):
    return unicodedata.category(chr(code)) in ("Cn", "Co")


SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"]
LETTERS = [chr(code) for code in range(0x21, 0x2FF) if chr(code).strip()] + list("σςαας中文猫。，々")
VOCABULARY = [*SPECIAL, *"cat un aff able cafe".split(), *LETTERS, *(f"##{letter}" for letter in LETTERS)]
KINDS = [("bert", True), ("paddlenlp", True), ("bert", False)]
MANY = 61
"""Of characters that are alike, ideographs, syllables and what has no meaning, one of so many is tried"""
CODES = [
    code
    for code in range(sys.maxunicode + 1)
    if code not in SURROGATES and (code % MANY == 0 or not (0xAC00 <= code < 0xD7A4 or is_cjk(code) or is_other(code)))
]
TEXTS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("ΣσςΑα'. \u0301\u00ad\u0345\u0130İ猫。カﾞ가\t\u2028\u3000\x00\U00011938"),
    ),
    max_size=60,
)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Function (rules, lower case) -> (our tokenizer, the library's)."""
    from tokenizers import Tokenizer as Theirs

    vocab = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    write_vocab(dict.fromkeys(VOCABULARY), vocab)

    @functools.cache
    def make(rules="bert", lower_case=True, max_length=16, fixed_length=False):
        ours = Tokenizer(vocab, max_length, lower_case, rules, fixed_length)
        return ours, Theirs.from_str(json.dumps(tokens_description(ours)["tokenizer"]))

    return make


def ids(theirs, texts):
    return np.array([text.ids for text in theirs.encode_batch(texts)], np.int64)


@pytest.mark.parametrize("rules, lower_case", KINDS)
def test_every_character_makes_the_same_words(both, rules, lower_case):
    theirs = both(rules, lower_case)[1]
    parts = [f"a{chr(code)}a" for code in CODES]
    for text in (" ".join(parts[start : start + 1000]) for start in range(0, len(parts), 1000)):
        found = theirs.pre_tokenizer.pre_tokenize_str(theirs.normalizer.normalize_str(text))
        wanted = (words(token, lower_case, rules) for token in text.translate(CLEAN).split())
        assert [word for word, _ in found] == list(chain.from_iterable(wanted))


@pytest.mark.parametrize("rules, lower_case", KINDS)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
@example(texts=["ΑΣ ΑΣΑ ΑΣΣ 'ΑΣ'. Α中Σ ΑΣ中Α ΣΑ", "[SEP] [CLS] a[MASK]b", "", "c" * 101, "cat " * 20])
def test_texts_of_any_characters(both, rules, lower_case, texts):
    ours, theirs = both(rules, lower_case)
    np.testing.assert_array_equal(ids(theirs, texts), ours.encode(texts))


def test_a_fixed_length_is_that_of_every_batch(both):
    ours, theirs = both(max_length=9, fixed_length=True)
    texts = ["cat", "the cat that sat on a mat and 猫"]
    assert ids(theirs, texts).shape == (2, 9)
    np.testing.assert_array_equal(ids(theirs, texts), ours.encode(texts))


def test_ids_with_gaps_and_a_token_without_a_place_of_its_own(tmp_path):
    from tokenizers import Tokenizer as Theirs

    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\t0\n[CLS]\t7\n[SEP]\t5\n[UNK]\t900\ncat\t11\nmat\t11\n##s\t30\n", encoding="utf-8")
    ours = Tokenizer(path)
    theirs = Theirs.from_str(json.dumps(tokens_description(ours)["tokenizer"]))
    assert ours.encode("mats cats 猫").tolist() == [[7, 11, 30, 11, 30, 900, 5]]
    np.testing.assert_array_equal(ids(theirs, ["mats cats 猫"]), ours.encode("mats cats 猫"))


def test_the_words_say_what_the_form_does(both):
    said = tokens_description(both("paddlenlp", False, 9, True)[0])
    assert "letters as they are" in said["in_words"][0] and "rules paddlenlp" in said["in_words"][0]
    assert "the first 7 pieces" in said["in_words"][1] and "always up to 9" in said["in_words"][1]
