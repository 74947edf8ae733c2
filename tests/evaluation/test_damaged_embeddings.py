"""Arrays of embeddings with a damaged header: a result, or one sentence, and no memory for what a header claims."""

import random

import numpy as np
import pytest

from ernie_vil2.errors import DataError
from ernie_vil2.evaluation.embeddings import read_embeddings

HEADERS = (
    "{'descr': (",
    "(" * 9000,
    "[",
    "{'descr': '<i8', 'fortran_order': False, 'shape': (1152921504606846976,), }",
    "{}",
    "{'descr': [1], 'fortran_order': 0, 'shape': 3}",
    "\x00" * 30,
)


def npy(text):
    return b"\x93NUMPY\x01\x00" + (len(text) + 1).to_bytes(2, "little") + text.encode() + b"\n" + bytes(16)


@pytest.mark.parametrize("name", ("image", "text", "text_keys"))
def test_a_damaged_array_is_one_sentence(tmp_path, name):
    for part in ("image", "text"):
        (tmp_path / f"{part}_ids.txt").write_text("a\nb\n")
        np.save(tmp_path / f"{part}.npy", np.eye(2, dtype="float32"))
    np.save(tmp_path / "text_keys.npy", np.arange(2))
    good, chance = (tmp_path / f"{name}.npy").read_bytes(), random.Random(1)
    assert len(read_embeddings(tmp_path).image) == 2
    for text in HEADERS:
        (tmp_path / f"{name}.npy").write_bytes(npy(text))
        with pytest.raises(DataError, match=f"{name}.npy"):
            read_embeddings(tmp_path)
    for _ in range(300):
        data = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        (tmp_path / f"{name}.npy").write_bytes(
            data[: chance.choice((len(data), len(data), chance.randrange(len(data))))]
        )
        try:
            read_embeddings(tmp_path)
        except DataError as error:
            assert str(tmp_path) in str(error)
