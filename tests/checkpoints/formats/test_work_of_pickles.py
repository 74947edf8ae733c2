"""A small pickle that makes its reader work: refused within bounds of time and memory."""

import struct

import numpy as np
import pytest

from ernie_vil2.checkpoints.formats.torch_file import open_torch
from tests.bounded import refusals
from tests.checkpoints.formats.torch_zips import tensor, zipped

MANY = b"(" + b"N" * 300_000
CALLS = 2000
SOME = np.zeros(4, np.float32)
MERSENNE = 2**61 - 1
PADDLE = "ernie_vil2.checkpoints.formats.paddle_file:load_pdparams"
TORCH = "ernie_vil2.checkpoints.formats.torch_file:open_torch"


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def long(value):
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def repeated(prepare, call, count=CALLS):
    """A pickle that makes a value once, then calls something on it again and again and keeps all results."""
    return b"\x80\x04}X\x01\x00\x00\x00w(" + prepare + b"(" + call * count + b"les."


def called(name, argument, times=CALLS):
    """`name(argument)` again and again, argument being an instruction for a value of 300,000 elements."""
    module, _, function = name.rpartition(".")
    prepare = f"c{module}\n{function}\n".encode() + b"q\x000" + argument + b"\x85q\x010"
    return repeated(prepare, b"h\x00h\x01R", times)


PAIRS = b"](" + b"X\x01\x00\x00\x00aN\x86" * 50_000 + b"e"
WORK = {
    "a tuple of a tuple": called("builtins.tuple", MANY + b"t"),
    "a tuple of a list": called("builtins.tuple", MANY + b"l"),
    "dictionaries of pairs": called("collections.OrderedDict", PAIRS),
    "bytes of a text": repeated(
        b"c_codecs\nencode\nq\x000" + text("x" * 4096) + text("latin1") + b"\x86q\x010", b"h\x00h\x01R", 60_000
    ),
    "an eval of a large dictionary": repeated(
        b"cbuiltins\neval\nq\x000"
        + text("data")
        + b"}("
        + b"".join(text(f"{key:06}") + b"N" for key in range(50_000))
        + b"u\x86q\x010",
        b"h\x00h\x01R",
        1,
    ),
    "a tuple that unfolds": b"\x80\x04}" + text("w") + b")" + b"2\x86" * 5000 + b"s.",
    "keys that unfold": b"\x80\x04})" + b"2\x86" * 5000 + b"Ns.",
    "a list in itself": b"\x80\x04}" + text("w") + b"]q\x00" + b"h\x00a" * 100_000 + b"s.",
}
TORCH_WORK = {
    "shapes of a list": called("torch.Size", b"](" + b"K\x01" * 300_000 + b"e"),
    "keys of one hash": b"\x80\x02}(" + b"".join(long(key * MERSENNE) + b"N" for key in range(1, 25_000)) + b"u.",
    "objects of large attributes": (
        b"\x80\x02c__torch__\nM\nq\x000}("
        + b"".join(text(f"a{n}") + b"N" for n in range(20_000))
        + b"uq\x010"
        + b"h\x00)\x81("
        + b"".join(text(f"b{n}") + b"h\x00)\x81h\x01b" for n in range(20_000))
        + b"db."
    ),
    "names that grow": (
        b"\x80\x02c__torch__\nM\nq\x000"
        + b"h\x00)\x81q\x010"
        + b"".join(
            b"h\x00)\x81}(" + text("n" * 4000) + b"h\x01" + text("m" * 4000) + b"h\x01ubq\x010" for _ in range(14)
        )
        + b"h\x01."
    ),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """{name: what is said} of all of them, in one child."""
    folder, calls = tmp_path_factory.mktemp("work"), {}
    for name, data in WORK.items():
        path = folder / f"{len(calls)}.pdparams"
        path.write_bytes(data)
        calls[name] = (PADDLE, [path])
        calls[f"{name}, to torch"] = (TORCH, [path])
    for name, data in (WORK | TORCH_WORK).items():
        path = folder / f"{len(calls)}.pt"
        path.write_bytes(zipped(data, {}))
        calls[f"{name}, in a torch file"] = (TORCH, [path])
    return dict(zip(calls, refusals(list(calls.values()), seconds=5), strict=True))


@pytest.mark.parametrize("name", list(WORK)[:4])
def test_a_value_that_is_copied_again_and_again(said, name):
    assert "copies its own values over and over" in said[name]


@pytest.mark.parametrize(
    "name, reason",
    {
        "keys of one hash": "neither text nor",
        "shapes of a list": "not a shape",
        "names that grow": "not a tensor's name",
    }.items(),
)
def test_what_only_torch_calls(said, name, reason):
    assert reason in said[f"{name}, in a torch file"]


def test_shapes_that_numpy_cannot_hold_though_they_are_empty(tmp_path):
    """NumPy multiplies the sides of an array that has none of its elements."""
    sides = b"(" + b"".join(long(side) for side in (0, 2**40, 2**40)) + b"t"
    dtype = b"cnumpy\ndtype\n" + text("f4") + b"\x89\x88\x87R"
    head = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    (tmp_path / "a.pdparams").write_bytes(
        b"\x80\x04}" + text("w") + head + b"(K\x01" + sides + dtype + b"\x89C\x00tbs."
    )
    (tmp_path / "a.pt").write_bytes(zipped({"w": tensor("0", (0, 2**40, 2**40), (0, 0, 0), count=4)}, {"0": SOME}))
    refusals([(PADDLE, [tmp_path / "a.pdparams"]), (TORCH, [tmp_path / "a.pt"])])


def test_tensors_that_are_each_cut_out_of_the_whole_file(tmp_path):
    data = np.zeros(100_000, np.float32)
    far = {f"w{number}": tensor("0", (2,), (99_999,), count=len(data)) for number in range(200)}
    (tmp_path / "far.pt").write_bytes(zipped(far, {"0": data}))
    (tmp_path / "few.pt").write_bytes(zipped(dict(list(far.items())[:20]), {"0": data}))
    assert "over 64 times" in refusals([(TORCH, [tmp_path / "far.pt"])])[0]
    assert open_torch(tmp_path / "few.pt")["w3"].tolist() == [0.0, 0.0]
