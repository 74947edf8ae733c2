"""A text without a character to read is no text, wherever it comes in: it is named by its position or its place."""

import numpy as np
import pytest

from ernie_vil2.data.sources import fields
from ernie_vil2.data.sources.base import RowError
from ernie_vil2.data.tokenizer import is_blank
from ernie_vil2.errors import DataError
from ernie_vil2.evaluation.benchmarks.reading import Reading
from ernie_vil2.evaluation.benchmarks.text_similarity.text_pairs import read_pairs
from ernie_vil2.evaluation.zero_shot import class_embeddings

EMPTY = ["", " ", "\t\n", "\u3000", "\u200b\u200d", "\ufeff", "\x00\x07", "\ufffd", "\ufe0f", "\u2028"]


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
