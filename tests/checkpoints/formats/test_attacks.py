"""A file from a stranger: nothing of it runs, it takes no memory that it does not hold, and one sentence says why."""

import io
import os
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.checkpoints.formats.paddle_file import load_pdparams, write_pdparams
from ernie_vil2.errors import CheckpointError

PROTOCOLS = range(6)
DTYPE = (
    b"cnumpy\ndtype\nX\x02\x00\x00\x00f4\x89\x88\x87R"
    b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
)
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
EMPTY = RECONSTRUCT + b"cnumpy\nndarray\nK\x00\x85C\x01b\x87R"


def text(value):
    return b"\x8c" + bytes([len(value)]) + value.encode()


def entry(value, before=b""):
    """A pickle of {"w": value} from the instructions of the value."""
    return b"\x80\x04}" + text("w") + before + value + b"s."


def array(shape=b"K\x01\x85", dtype=DTYPE, data=b"C\x04\x00\x00\x00\x00", head=EMPTY):
    return head + b"(K\x01" + shape + dtype + b"\x89" + data + b"tb"


def stack_global(module, name):
    return text(module) + text(name) + b"\x93"


def long_shape(*sides):
    return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", side) for side in sides) + b"t"


ATTACKS = {
    "eval of other text": (entry(b"cbuiltins\neval\n" + text("1+1") + b"\x85R"), "builtins.eval"),
    "eval of other text with data": (
        entry(b"cbuiltins\neval\n" + text("1+1") + b"}" + text("data") + array() + b"s\x86R"),
        "builtins.eval",
    ),
    "eval with other names": (
        entry(b"c__builtin__\neval\n" + text("data") + b"}(" + text("data") + b"N" + text("x") + b"Nu\x86R"),
        "builtins.eval",
    ),
    "exec": (entry(b"cbuiltins\nexec\n" + text("1") + b"\x85R"), "builtins.exec"),
    "getattr": (entry(b"cbuiltins\ngetattr\ncnumpy\nndarray\n" + text("tofile") + b"\x86R"), "builtins.getattr"),
    "dotted name": (entry(stack_global("numpy", "ndarray.tofile") + b")R"), "numpy.ndarray.tofile"),
    "dotted module": (entry(stack_global("numpy.ndarray", "tofile") + b")R"), "numpy.ndarray.tofile"),
    "dtype's attribute": (entry(stack_global("collections", "OrderedDict.__init__.__globals__")), "__globals__"),
    "numpy.load": (entry(b"cnumpy\nload\n" + text("x.npy") + b"\x85R"), "numpy.load"),
    "a layer": (entry(b"cpaddle.nn.layer.common\nLinear\n)\x81"), "paddle.nn.layer.common.Linear"),
    "instance": (entry(b"(iposix\nsystem\n"), "posix.system"),
    "instance of a known class": (entry(b"(inumpy\nndarray\n"), "instance of numpy.ndarray"),
    "new object": (entry(b"cnumpy\nndarray\n)\x81"), "instruction NEWOBJ"),
    "object on the stack": (entry(b"(cnumpy\nndarray\no"), "instruction OBJ"),
    "persistent id": (entry(text("x") + b"Q"), "instruction BINPERSID"),
    "persistent id as text": (entry(b"Px\n"), "instruction PERSID"),
    "extension registry": (entry(b"\x82\x01"), "instruction EXT1"),
    "big extension": (entry(b"\x84\x01\x00\x00\x00"), "instruction EXT4"),
    "buffer from outside": (entry(b"\x97"), "instruction NEXT_BUFFER"),
    "global that is not text": (entry(b"K\x01K\x02\x93"), "not text"),
    "call of a tensor": (entry(array() + b")R"), "constructors"),
    "call of a class": (entry(b"cnumpy\nndarray\nK\x09\x85\x85R"), "constructors"),
    "call with a list": (entry(b"cbuiltins\ntuple\n]R"), "constructors"),
    "state of a dictionary": (entry(b"}}b"), "state of a dict"),
    "state of an OrderedDict": (
        entry(b"ccollections\nOrderedDict\n)R}" + text("__class__") + b"Nsb"),
        "state of a dict",
    ),
    "attributes of an array": (entry(EMPTY + b"}" + text("__class__") + b"Nsb"), "state of a numpy.ndarray"),
    "attributes in a pair": (entry(EMPTY + b"N}" + text("x") + b"Ns\x86b"), "state of a numpy.ndarray"),
    "a second state": (
        entry(array() + b"(K\x01K\x01\x85" + DTYPE + b"\x89C\x04\x00\x00\x00\x00tb"),
        "state of a numpy.ndarray",
    ),
    "array of another class": (entry(array(head=RECONSTRUCT + b"cnumpy\ndtype\nK\x00\x85C\x01b\x87R")), "_reconstruct"),
    "objects": (entry(array(dtype=b"cnumpy\ndtype\n" + text("O8") + b"\x89\x88\x87R")), "numpy.dtype('O8')"),
    "records": (entry(array(dtype=b"cnumpy\ndtype\n" + text("V8") + b"\x89\x88\x87R")), "numpy.dtype('V8')"),
    "fields": (entry(array(dtype=b"cnumpy\ndtype\n" + b"](" + text("a") + text("O") + b"\x86e\x85R")), "numpy.dtype"),
    "fields in the state": (
        entry(array(dtype=b"cnumpy\ndtype\n" + text("f4") + b"\x85R(K\x03" + text("<") + b"N)}K\x04K\x01K\x00tb")),
        "numpy.dtype",
    ),
    "list of objects as data": (entry(array(data=b"](K\x01K\x02e")), "not bytes"),
    "other codec": (entry(b"c_codecs\nencode\n" + text("abc") + text("zlib") + b"\x86R"), "codec other than latin1"),
    "codec that is not text": (entry(b"c_codecs\nencode\n" + text("abc") + b"K\x01\x86R"), "codec other than latin1"),
    "bytes of a size": (entry(b"cbuiltins\nbytes\n\x8a\x05\x00\x00\x00\x00\x10\x85R"), "builtins.bytes"),
    "tuple of a number": (entry(b"cbuiltins\ntuple\nK\x05\x85R"), "builtins.tuple"),
    "pairs that are not": (entry(b"ccollections\nOrderedDict\n](K\x01K\x02e\x85R"), "OrderedDict"),
    "shape over the data": (entry(array(shape=long_shape(2**40))), "4,398,046,511,104 bytes, with 4 bytes"),
    "shape that overflows": (entry(array(shape=long_shape(2**33, 2**33))), "not a tuple of sizes"),
    "shape under the data": (entry(array(data=b"C\x08" + bytes(8))), "with 8 bytes of data"),
    "negative shape": (entry(array(shape=long_shape(-1))), "not a tuple of sizes"),
    "shape of truths": (entry(array(shape=b"\x88\x85")), "not a tuple of sizes"),
    "shape of 40 sides": (entry(array(shape=b"(" + b"K\x01" * 40 + b"t")), "not a tuple of sizes"),
    "string over the file": (entry(b"\x8e" + struct.pack("<Q", 2**60)), "ends early"),
    "frame over the file": (b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"}.", "ends early"),
    "keys that are not text": (b"\x80\x04}(" + b")" * 3 + b"Nu.", "keys are not all text"),
    "items of a tensor": (entry(array() + text("x") + b"Ns"), "not a dictionary"),
    "elements of a tensor": (entry(array() + b"Na"), "not a list"),
    "empty stack": (b"\x80\x04.", "not a well-formed pickle"),
    "no mark": (b"\x80\x04}u.", "not a well-formed pickle"),
    "under the mark": (b"\x80\x04}(0.", "not a well-formed pickle"),
    "reference to nothing": (b"\x80\x04h\x07.", "not a well-formed pickle"),
    "other protocol": (b"\x80\x09}.", "protocol 9"),
    "endless name": (b"\x80\x04c" + b"a" * 10000, "name of over 512 bytes"),
    "terminal escapes in a name": (b"\x80\x04cp\x1b[2Jx\ny\n.", r"asks for p\x1b[2Jx.y"),
    "terminal escapes in a key": (b"\x80\x04}" + text("a\x1b[2J") + array() + b"s.", r"a\x1b[2J"),
    "a function as a tensor": (entry(b"cbuiltins\neval\n"), "type Global, not a tensor"),
    "an array without data": (entry(EMPTY), "type Array, not a tensor"),
}


class Call:
    """Pickles as a call of `function` with `args`."""

    def __init__(self, function, *args):
        self.recipe = function, args

    def __reduce__(self):
        return self.recipe


def refusal(tmp_path, data):
    path = tmp_path / "model.pdparams"
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        load_pdparams(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message and message.isprintable()
    return message


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("wrap", (lambda call: call, lambda call: {"w": call}), ids=("alone", "as a tensor"))
def test_os_system_is_named_and_not_run(tmp_path, protocol, wrap):
    trace = tmp_path / "trace"
    data = pickle.dumps(wrap(Call(os.system, f"touch {trace}")), protocol)
    said = "asks for posix.system, which no Paddle weights file needs"
    if data.startswith(b"(dp0"):
        said = "is not a Paddle weights file"  # Paddle never wrote protocol 0
    assert said in refusal(tmp_path, data)
    assert not trace.exists()


def test_the_global_is_named_even_behind_good_tensors(tmp_path):
    trace = tmp_path / "trace"
    data = pickle.dumps({"a": np.zeros(5000), "b": np.zeros(3), "c": [{"d": Call(os.system, f"touch {trace}")}]}, 2)
    assert "posix.system" in refusal(tmp_path, data)
    assert not trace.exists()


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_refused_with_its_reason(tmp_path, name):
    data, said = ATTACKS[name]
    assert said in refusal(tmp_path, data)


def test_the_parts_of_the_attacks_make_a_good_file(tmp_path):
    path = tmp_path / "model.pdparams"
    path.write_bytes(entry(array()))
    assert load_pdparams(path)["w"].tolist() == [0.0]


def test_a_far_memo_slot_takes_no_memory(tmp_path):
    path = tmp_path / "model.pdparams"
    path.write_bytes(entry(array() + b"r\xff\xff\xff\xff"))
    assert load_pdparams(path)["w"].tolist() == [0.0]


def test_a_small_file_cannot_claim_a_big_state(tmp_path):
    """One block of data under many keys, each with its own array object."""
    data = b"B" + struct.pack("<I", 1 << 20) + bytes(1 << 20) + b"q\x07"
    shape = b"J" + struct.pack("<i", 1 << 18) + b"\x85"
    first = text("k0") + array(shape, data=data)
    more = b"".join(text(f"k{index}") + array(shape, data=b"h\x07") for index in range(1, 64))
    assert "claims 67,108,864 bytes of tensors" in refusal(tmp_path, b"\x80\x04}(" + first + more + b"u.")


def test_too_many_instructions(tmp_path):
    assert "over 1,000,000 pickle instructions" in refusal(tmp_path, b"\x80\x04" + b"N" * 1_000_001 + b".")


def good_files(folder):
    """Small files in every form, as bytes."""
    values = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(40, np.float16)}
    write_pdparams(folder / "ours.pdparams", values)
    files = [(folder / "ours.pdparams").read_bytes(), *(pickle.dumps(values, protocol) for protocol in (2, 3, 4, 5))]
    for protocol in (2, 4):
        tensors = {key: paddle.to_tensor(value) for key, value in values.items()}
        for state in (tensors, tensors | {"plain": values["w"]}):
            buffer = io.BytesIO()
            paddle.save(dict(state), buffer, protocol=protocol)
            files.append(buffer.getvalue())
    return files


def test_every_cut_is_noticed(tmp_path):
    for data in good_files(tmp_path):
        for length in range(0, len(data), 5):
            message = refusal(tmp_path, data[:length])
            assert "ends early" in message or length < 16


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    return folder / "fuzzed.pdparams", good_files(folder)


@given(
    which=st.integers(0, 8),
    changes=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_a_damaged_file_is_read_or_refused(fuzzed, which, changes):
    path, files = fuzzed
    data = bytearray(files[which])
    for place, value in changes:
        data[place % len(data)] = value
    path.write_bytes(data)
    try:
        loaded = load_pdparams(path)
    except CheckpointError:
        return
    assert sum(value.nbytes for value in loaded.values()) <= 4 * len(data)


def zip_bytes():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    return buffer.getvalue()


def tar_bytes(mode):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        archive.addfile(tarfile.TarInfo("model.pdparams"))
    return buffer.getvalue()


OTHER_FILES = {
    "empty": (b"", "is empty"),
    "text": (b"hello\n", "is not a Paddle weights file"),
    "text that begins like an instruction": (b"captions of images\n", "is not a Paddle weights file"),
    "web page": (b"<!DOCTYPE html><html>", "is a web page"),
    "Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
    "PyTorch": (zip_bytes(), "PyTorch"),
    "tar": (tar_bytes("w"), "archive"),
    "tar.gz": (tar_bytes("w:gz"), "archive"),
    "safetensors": (struct.pack("<Q", 2) + b"{}", "safetensors"),
    "list of tensors": (pickle.dumps([np.zeros(2)], 4), "no dictionary of tensors"),
    "nothing": (pickle.dumps({}, 4), "no dictionary of tensors"),
    "a number": (pickle.dumps({"w": np.zeros(2), "epoch": 3}, 4), "entry epoch is of type int"),
    "nested": (pickle.dumps({"model": {"w": np.zeros(2)}}, 4), "entry model is of type dict"),
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_other_kinds_of_file_are_named(tmp_path, name):
    data, said = OTHER_FILES[name]
    assert said in refusal(tmp_path, data)


def test_other_files_of_paddle_are_named(tmp_path):
    layer = paddle.nn.Linear(2, 2)
    adam = paddle.optimizer.AdamW(parameters=layer.parameters())
    layer(paddle.ones([1, 2])).sum().backward()
    adam.step()
    paddle.save(adam.state_dict(), str(tmp_path / "saved"))
    assert "state of an optimiser" in refusal(tmp_path, (tmp_path / "saved").read_bytes())
    paddle.save(layer.weight, str(tmp_path / "saved"), use_binary_format=True)
    assert "Paddle's binary format" in refusal(tmp_path, (tmp_path / "saved").read_bytes())


@pytest.mark.parametrize("place", ("absent.pdparams", "."))
def test_paths_that_are_no_file(tmp_path, place):
    with pytest.raises(CheckpointError, match="cannot read"):
        load_pdparams(tmp_path / place)
