"""Texts of fixed length: every row is padded to max_length, for a model that reads its padding."""

import json
import pickle

import numpy as np
import pytest

from ernie_vil2.data.tokenizer import Tokenizer

TEXTS = ["一只猫", "红色的圆在左，蓝色的方形在右。", "cat"]


def test_every_row_is_as_long_as_the_longest_may_be(tiny_vocab):
    plain, fixed = Tokenizer(tiny_vocab, 12), Tokenizer(tiny_vocab, 12, fixed_length=True)
    for texts in (TEXTS, TEXTS[:1], TEXTS[0], []):
        ids, found = plain.encode(texts), fixed.encode(texts)
        assert found.shape == (len(ids), 12)
        if len(ids):
            np.testing.assert_array_equal(found[:, : ids.shape[1]], ids)
            assert not found[:, ids.shape[1] :].any()
    assert fixed.encode(TEXTS[0], max_length=7).shape == (1, 7)
    assert pickle.loads(pickle.dumps(fixed)).encode(TEXTS[0]).shape == (1, 12)


@pytest.mark.parametrize("size, length", [("tiny", 24), ("full", 80)])
def test_ids_of_brivl(shared_parity, size, length):
    folder = shared_parity.parent / "brivl"
    tokenizer = Tokenizer(folder / "vocab.txt", length, fixed_length=True)
    rows = (folder / size / "input.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [dict(json.loads(row)["sentences"])["sur_text"] for row in rows]
    np.testing.assert_array_equal(tokenizer.encode(texts), np.load(folder / size / "expected.npz")["input_ids"])


def test_a_model_of_fixed_length_sees_all_of_it_in_every_batch(tiny_config, tiny_vocab):
    from ernie_vil2.inference.model import Model
    from ernie_vil2.models.dual_encoder import new_model

    network, seen = new_model(tiny_config), []
    encode, network.encode_text = network.encode_text, lambda ids: seen.append(ids.shape) or encode(ids)
    model = Model(network, Tokenizer(tiny_vocab, tiny_config.max_length, fixed_length=True))
    model.encode_text(TEXTS, batch_size=2)
    model.encode_text(TEXTS[0])
    assert {shape[1] for shape in seen} == {tiny_config.max_length} == {model.tokenize(TEXTS[0]).shape[1]}
