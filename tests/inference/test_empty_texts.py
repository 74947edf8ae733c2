"""A text without a character to read is no text, wherever it comes in: it is named by its position or its place."""

import json

import numpy as np
import pytest

from ernie_vil2.data.sources import fields
from ernie_vil2.data.sources.base import RowError
from ernie_vil2.data.tag_prompts import tag_prompt
from ernie_vil2.data.tagging.labels import read_labels
from ernie_vil2.data.tokenizer import Tokenizer, is_blank
from ernie_vil2.errors import DataError
from ernie_vil2.evaluation.benchmarks.reading import Reading
from ernie_vil2.evaluation.benchmarks.text_similarity.text_pairs import read_pairs
from ernie_vil2.evaluation.zero_shot import class_embeddings
from ernie_vil2.files import text as text_files

EMPTY = ["", " ", "\t\n", "\u3000", "\u200b\u200d", "\ufeff", "\x00\x07", "\ufffd", "\ufe0f", "\u2028"]
EMPTY += ["\u3164", "\u2800\u115f", "\ufffc", "\u00ad\u2060", "\u202e\u061c", "\U000e0020", "\u180e\u034f\u0301"]


@pytest.mark.parametrize("text", [*EMPTY, None])
def test_an_empty_text_is_named_by_its_position(model, text):
    with pytest.raises(DataError, match=r"text 1 \(counted from 0\): .*(text is empty|is not a text).*; "):
        model.encode_text(["一只猫", text, "两只狗"])
    with pytest.raises(DataError, match=r"text 0 \(counted from 0\)"):
        model.encode_text(text)


def test_empty_texts_are_skipped_where_that_is_asked_for(model):
    good = ["一只猫", "两只狗"]
    found, failures = model.encode_text([EMPTY[0], good[0], None, *EMPTY, good[1]], on_error="skip")
    assert np.isnan(found[0]).all() and [position for position, _ in failures] == [0, *range(2, 3 + len(EMPTY))]
    np.testing.assert_allclose(found[[1, -1]], model.encode_text(good), atol=1e-5)
    nothing, failures = model.encode_text(EMPTY, on_error="skip")
    assert np.isnan(nothing).all() and len(failures) == len(EMPTY)


def test_what_can_be_read_is_no_empty_text(model):
    texts = ["。", "!", "🎉", "a\u200b", "é"]
    assert not any(map(is_blank, texts)) and np.isfinite(model.encode_text(texts)).all()


@pytest.mark.parametrize("text", EMPTY)
def test_a_source_a_class_and_a_pair_may_not_be_empty_either(model, tmp_path, text):
    with pytest.raises(RowError, match="a.jsonl:3: a caption is empty"):
        fields.captions({"texts": ["一只猫", text]}, "a.jsonl:3")
    assert fields.tag_list(["猫", text], "a.jsonl:3") == ("猫",)
    with pytest.raises(DataError, match=r"class 1 \(counted from 0\) has an empty name"):
        class_embeddings(model, ["猫", text], ["{}的图片"])
    (tmp_path / "pairs.tsv").write_text(f"猫\t狗\t1\n猫\t{text.strip() or chr(0x200B)}\t0\n", encoding="utf-8")
    with pytest.raises(DataError, match="pairs.tsv:2"):
        read_pairs(tmp_path / "pairs.tsv", Reading())


def test_a_class_without_a_name_is_named(model):
    with pytest.raises(DataError, match=r"class 1 \(counted from 0\) has an empty name"):
        class_embeddings(model, ["猫", None], ["{}的图片"])


@pytest.mark.parametrize("text", EMPTY)
def test_a_tag_of_nothing_is_left_out_of_prompts_and_no_name_of_a_class(tmp_path, text):
    assert tag_prompt(["猫", text], "zh") == "该图片包含猫" and tag_prompt([text], "en") == ""
    (tmp_path / "l.json").write_text(json.dumps(["猫", text]))
    with pytest.raises(DataError, match="l.json: no labels"):
        read_labels(tmp_path / "l.json")
    lines = text_files.split_lines(text) or [""]
    (tmp_path / "l.txt").write_text(f"猫\n{lines[0]}\n狗\n", encoding="utf-8")
    with pytest.raises(DataError, match="l.txt:2: the (name is empty|file holds a zero byte)"):
        read_labels(tmp_path / "l.txt")


def test_what_becomes_no_token_is_an_empty_text(tiny_vocab):
    tokenizers = [Tokenizer(tiny_vocab), Tokenizer(tiny_vocab, lower_case=False)]
    for code in [*range(0x3400), *range(0xA000, 0xD800, 9), *range(0xE000, 0x10000, 3), *range(0x1F000, 0x1FB00, 9)]:
        assert is_blank(chr(code)) or all(tokenizer.tokens(chr(code)) for tokenizer in tokenizers)
