"""Files of torch, read without torch: every view right, nothing run, one sentence for anything else."""

import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.checkpoints.formats.torch_file import open_torch
from ernie_vil2.errors import CheckpointError
from tests.checkpoints.formats.torch_zips import Named, Storage, Writer, legacy_file, state_file, tensor, zipped

STATE = {
    "a.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "b": np.array([[1.5, -2], [np.inf, 0]], np.float16),
    "c": np.array([0x3F80, 0xC000], np.uint16),
    "d": np.array([True, False]),
    "e": np.array(7, np.int64),
    "empty": np.zeros((0, 3), np.float64),
}


def opened(tmp_path, data, name="model.bin"):
    path = tmp_path / name
    path.write_bytes(data)
    return open_torch(path)


def refusal(tmp_path, data):
    with pytest.raises(CheckpointError) as caught:
        dict(opened(tmp_path, data))
    message = str(caught.value)
    assert message.startswith(str(tmp_path)) and "\n" not in message and message.isprintable()
    return message


def assert_state(found, wanted=STATE):
    assert list(found) == list(wanted)
    for key, value in wanted.items():
        assert (found[key].dtype, found[key].shape) == (value.dtype, value.shape)
        assert found[key].tobytes() == value.tobytes() and found.spec(key).shape == value.shape


@pytest.mark.parametrize("write", (state_file, legacy_file), ids=("zip", "legacy"))
def test_every_type_is_read(tmp_path, write):
    found = opened(tmp_path, write(STATE))
    assert_state(found)
    assert found.spec("c").dtype == "bfloat16" and found.notes == []


def test_containers_are_entered_and_said(tmp_path):
    def wrap(plan):
        moments = {0: {"exp_avg": plan["a.weight"], "step": 3}, 1: {}}
        adam = {"state": moments, "param_groups": [{"lr": 0.1}]}
        more = {"best": 0.5, "device": Named("torch", "device", "cuda:0"), "type": Named("torch", "float32")}
        return {"epoch": 7, "model": {"state_dict": plan}, "optimizer": adam} | more

    found = opened(tmp_path, state_file(STATE, wrap))
    assert_state(found)
    assert "model.state_dict" in found.notes[0]


def test_plain_entries_between_tensors_are_left_out(tmp_path):
    found = opened(tmp_path, state_file(STATE, lambda plan: plan | {"epoch": 3, "lr": 0.1}))
    assert_state(found)
    assert "2 entries that are no tensors" in found.notes[0] and "epoch" in found.notes[0]


@given(data=st.data())
def test_any_view_of_a_storage(tmp_path_factory, data):
    """Offsets, steps, transposes, expanded axes: as NumPy takes the same view of the same elements."""
    sides = data.draw(st.lists(st.integers(1, 4), min_size=0, max_size=4))
    strides = [data.draw(st.integers(0, 5)) for _ in sides]
    offset = data.draw(st.integers(0, 3))
    last = offset + sum((side - 1) * stride for side, stride in zip(sides, strides, strict=True))
    array = np.arange(last + 1 + data.draw(st.integers(0, 3)), dtype=np.float32)
    view = tensor("0", tuple(sides), tuple(strides), offset, count=array.size)
    # a big neighbour, so that expanded views are no claim beyond the file
    plan = {"view": view, "other": tensor("1", (512,))}
    path = tmp_path_factory.mktemp("view") / "model.bin"
    path.write_bytes(zipped(plan, {"0": array, "1": np.zeros(512, np.float32)}))
    wanted = np.lib.stride_tricks.as_strided(array[offset:], sides, [4 * stride for stride in strides])
    found = open_torch(path)["view"]
    assert found.shape == wanted.shape and np.array_equal(found, wanted) and found.flags.c_contiguous


def test_big_endian_machines(tmp_path):
    array = STATE["a.weight"]
    data = zipped({"a": tensor("0", array.shape)}, {"0": array.astype(">f4")}, byteorder=b"big")
    assert np.array_equal(opened(tmp_path, data)["a"], array)


def test_torchscript_attributes_by_their_path(tmp_path):
    """A TorchScript archive: objects of `__torch__` classes, with other objects, lists and numbers in them."""
    inner = Writer().dumps({"weight": tensor("0", (2,)), "training": False})[2:-1]
    kind = b"c__torch__.model\nModel\n)\x81"
    plan = b"\x80\x02" + kind + b"}(" + text("visual") + kind + inner + b"b" + text("size")
    plan += Writer().dumps(Named("torch.jit._pickle", "build_intlist", [1, 2]))[2:-1] + b"ub."
    found = opened(tmp_path, zipped(plan, {"0": np.ones(2, np.float32)}, **{"code/__torch__/model.py": b"import os"}))
    assert list(found) == ["visual.weight"] and found["visual.weight"].tolist() == [1, 1]
    assert "TorchScript" in found.notes[0]


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


class Call:
    """Pickles as a call of `function` with `args`."""

    def __init__(self, function, *args):
        self.recipe = function, args

    def __reduce__(self):
        return self.recipe


@pytest.mark.parametrize("form", ("zip", "legacy", "pickle"))
def test_os_system_is_named_and_not_run(tmp_path, form):
    trace = tmp_path / "trace"
    attack = pickle.dumps({"w": Call(os.system, f"touch {trace}")}, 2)
    if form == "zip":
        data = zipped(attack, {})
    elif form == "legacy":
        good = legacy_file({})
        empty = Writer().dumps({})
        assert empty in good
        data = good.replace(empty, attack)
    else:
        data = attack
    said = refusal(tmp_path, data)
    assert "asks for posix.system" in said and not trace.exists()


def test_the_global_is_named_even_behind_good_tensors(tmp_path):
    plan = {"w": tensor("0", (2,)), "args": Named("argparse", "Namespace", "x")}
    assert "asks for argparse.Namespace" in refusal(tmp_path, zipped(plan, {"0": np.zeros(2, np.float32)}))


ONE = {"0": np.zeros(4, np.float32)}
HOSTILE = {
    "a function of torch": ({"w": Named("torch.hub", "load", "x")}, "torch.hub.load"),
    "a module": ({"w": Named("torch.nn.modules.linear", "Linear")}, "torch.nn.modules.linear.Linear"),
    "torch.load": ({"w": Named("torch.serialization", "load", "x")}, "torch.serialization.load"),
    "eval": ({"w": Named("builtins", "eval", "1")}, "builtins.eval"),
    "getattr": ({"w": Named("builtins", "getattr", "1", "x")}, "builtins.getattr"),
    "almost TorchScript": ({"w": Named("__torch__x", "y", "1")}, "__torch__x.y"),
    "call of TorchScript": ({"w": Named("__torch__.a", "b", "1")}, "constructors"),
    "a storage of no kind": ({"w": Storage("0", "Linear", 4)}, "torch.Linear"),
    "view over its storage": ({"w": tensor("0", (5,), count=4)}, "reaches over its storage"),
    "offset over its storage": ({"w": tensor("0", (4,), offset=1)}, "reaches over its storage"),
    "stride over its storage": ({"w": tensor("0", (2, 2), (3, 1))}, "reaches over its storage"),
    "negative offset": ({"w": tensor("0", (4,), offset=-1)}, "whole numbers"),
    "negative stride": ({"w": tensor("0", (4,), (-1,), 3)}, "whole numbers"),
    "negative size": ({"w": tensor("0", (-4,), (1,), count=4)}, "whole numbers"),
    "size of truths": ({"w": tensor("0", (True,), (1,), count=4)}, "whole numbers"),
    "ranks that differ": ({"w": tensor("0", (4,), (1, 1))}, "one rank"),
    "40 axes": ({"w": tensor("0", (1,) * 40)}, "one rank"),
    "huge size": ({"w": tensor("0", (2**40,), (0,), count=4)}, "claims 4,398,046,511,104 bytes"),
    "sizes that overflow": ({"w": tensor("0", (2**40, 2**40), (0, 0), count=4)}, "one rank"),
    "storage of another size": ({"w": tensor("0", (4,), count=8)}, "has 16 bytes where 32 are due"),
    "storage twice": ({"w": tensor("0", (4,)), "v": tensor("0", (2,), dtype="int64")}, "two types or sizes"),
    "missing storage": ({"w": tensor("7", (4,))}, "data/7 is missing"),
    "path trick": ({"w": tensor("../../../etc/passwd", (4,))}, "is missing"),
    "tensor of nothing": ({"w": Named("torch._utils", "_rebuild_tensor_v2", 1, 0, (), (), False, {})}, "not a storage"),
    "parameter of nothing": ({"w": Named("torch._utils", "_rebuild_parameter", 1, False, {})}, "_rebuild_parameter"),
    "escapes in a key": ({"w\x1b[2J": tensor("0", (4,))}, r"w\x1b[2J"),
    "a list": ([tensor("0", (4,))], "no named tensors"),
    "nothing": ({}, "no named tensors"),
    "an optimiser alone": ({"state": {0: {"exp_avg": tensor("0", (4,))}}, "param_groups": []}, "state, param_groups"),
    "codec": ({"w": Named("_codecs", "encode", "x", "zlib")}, "codec other than latin1"),
    "type not known": (
        {
            "w": Named(
                "torch._utils",
                "_rebuild_tensor_v3",
                Storage("0", "UntypedStorage", 16),
                0,
                (4,),
                (1,),
                False,
                {},
                Named("torch", "complex64"),
            )
        },
        "complex64",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_attack_is_refused_with_its_reason(tmp_path, name):
    plan, said = HOSTILE[name]
    assert said in refusal(tmp_path, zipped(plan, ONE))


RAW = {
    "instance": (b"\x80\x02(iposix\nsystem\n.", "posix.system"),
    "object of a known class": (b"\x80\x02ctorch\nFloatStorage\n)\x81.", "makes an object of torch.FloatStorage"),
    "object with arguments": (b"\x80\x02c__torch__\nA\nK\x01\x85\x81.", "makes an object"),
    "persistent id as text": (b"\x80\x02Px\n.", "instruction PERSID"),
    "storage by text": (b"\x80\x02X\x01\x00\x00\x00xQ.", "names a storage"),
    "extension": (b"\x80\x02\x82\x01.", "instruction EXT1"),
    "reference to nothing": (b"\x80\x02h\x07.", "not a well-formed pickle"),
    "itself inside": (b"\x80\x02}q\x00X\x05\x00\x00\x00modelh\x00s.", "no named tensors"),
    "state of a number": (b"\x80\x02K\x01}b.", "state of a int"),
    "record of records": (
        b"\x80\x02" + b"c__torch__\nA\n)\x81q\x00}" + text("a") + b"h\x00sb.",
        "nests objects too deep",
    ),
    "key that is a list": (b"\x80\x02}(]K\x01u.", "neither text nor numbers"),
    "endless": (b"\x80\x02" + b"N" * 1_000_001 + b".", "over 1,000,000 pickle instructions"),
}


def layers(count, width, inner):
    """Instructions of a value in which each of `count` layers holds the layer below `width` times."""
    data = inner
    for place in range(count):
        again = b"".join(text(f"k{index}") + b"h" + bytes([place]) for index in range(1, width))
        data = b"}(" + text("k0") + data + b"q" + bytes([place]) + again + b"u"
    return data


def record_layers(count):
    data = b"c__torch__\nA\n)\x81}b"
    for place in range(count):
        data = b"c__torch__\nA\n)\x81}(" + text("a") + data + b"q" + bytes([place]) + text("b") + b"h" + bytes([place])
        data += b"ub"
    return data


def test_one_object_in_many_places_costs_no_time(tmp_path):
    """Small files that describe billions of paths to one dictionary or object."""
    for data in (layers(3, 20_000, b"}"), layers(60, 2, b"}"), record_layers(28)):
        assert refusal(tmp_path, zipped(b"\x80\x02" + data + b".", ONE))


def test_containers_that_hold_each_other(tmp_path):
    inner = Writer().dumps({"w": tensor("0", (4,))})[2:-1]
    plan = b"\x80\x02}q\x00(" + text("model") + b"}q\x01(" + text("model") + b"h\x00" + text("c") + inner + b"uu."
    assert "no named tensors" in refusal(tmp_path, zipped(plan, ONE))


@pytest.mark.parametrize("name", RAW)
def test_attack_in_instructions_is_refused(tmp_path, name):
    data, said = RAW[name]
    assert said in refusal(tmp_path, zipped(data, ONE))


def deflated(name="archive/data.pkl"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for member, content in (
            ("archive/data.pkl", Writer().dumps({"w": tensor("0", (1 << 20,))})),
            ("archive/data/0", np.random.default_rng(0).bytes(4 << 20)),
        ):
            archive.writestr(member, content, zipfile.ZIP_DEFLATED if member == name else zipfile.ZIP_STORED)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ("archive/data.pkl", "archive/data/0"))
def test_compressed_members_are_not_unpacked(tmp_path, name):
    assert "is compressed" in refusal(tmp_path, deflated(name))


def entry_of(data, name):
    """Where the entry of a member begins in the directory of a zip."""
    return data.rfind(name) - 46


def test_members_that_overlap(tmp_path):
    """A whole member inside another one's data: a small file must not become many tensors."""
    inner = np.ones(4, np.float32)
    header = b"PK\x03\x04" + bytes(22) + struct.pack("<HH", 14, 0) + b"archive/data/1"
    outer = np.frombuffer(header + inner.tobytes(), np.float32)
    data = bytearray(zipped({"w": tensor("0", outer.shape), "v": tensor("1", (4,))}, {"0": outer, "1": inner}))
    place = entry_of(data, b"archive/data/1")
    data[place + 42 : place + 46] = struct.pack("<I", data.index(header))
    assert "overlap" in refusal(tmp_path, bytes(data))
    data[place + 42 : place + 46] = struct.pack("<I", data.index(b"PK\x03\x04", 4))
    assert "disagree" in refusal(tmp_path, bytes(data))


def test_a_member_that_reaches_into_the_directory(tmp_path):
    data = bytearray(zipped({"w": tensor("0", (9,))}, ONE))
    place = entry_of(data, b"archive/data/0")
    data[place + 20 : place + 28] = struct.pack("<II", 36, 36)
    assert "reaches over its end" in refusal(tmp_path, bytes(data))


def test_a_directory_that_points_elsewhere(tmp_path):
    good = zipped({"w": tensor("0", (4,))}, ONE)
    entry = good.rfind(b"archive/data/0") - 46
    for place, value in ((42, 10**9), (24, 2**31), (20, 2**31)):
        data = bytearray(good)
        data[entry + place : entry + place + 4] = struct.pack("<I", value)
        assert refusal(tmp_path, bytes(data))


def test_a_changed_tensor_is_noticed(tmp_path):
    good = zipped({"w": tensor("0", (4,))}, {"0": np.arange(1, 5, dtype=np.float32)})
    place = good.index(np.float32(3).tobytes())
    assert "damaged" in refusal(tmp_path, good[:place] + b"\x01" + good[place + 1 :])


def test_member_names_twice(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, pytest.warns(UserWarning):
        for _ in range(2):
            archive.writestr("archive/data.pkl", Writer().dumps({}))
    assert "twice" in refusal(tmp_path, buffer.getvalue())


def test_every_cut_is_noticed(tmp_path):
    for data in (state_file(STATE), legacy_file(STATE)):
        for length in range(0, len(data), 7):
            assert refusal(tmp_path, data[:length])


@given(
    legacy=st.booleans(), changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=4)
)
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, legacy, changes):
    data = bytearray((legacy_file if legacy else state_file)(STATE))
    for place, value in changes:
        data[place % len(data)] = value
    path = tmp_path_factory.mktemp("fuzz") / "model.bin"
    path.write_bytes(data)
    try:
        loaded = dict(open_torch(path))
    except CheckpointError:
        return
    assert sum(value.nbytes for value in loaded.values()) <= 4 * len(data)


OTHER_FILES = {
    "empty": (b"", "is empty"),
    "a zip of others": (zipped(b"", {}, root="a/b"), "not one of torch"),
    "a pickle of Paddle": (pickle.dumps({"w": np.zeros(2)}, 4), "torch.save did not write"),
    "Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
    "web page": (b"<!DOCTYPE html><html>", "is a web page"),
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_other_kinds_of_file_are_named(tmp_path, name):
    data, said = OTHER_FILES[name]
    assert said in refusal(tmp_path, data)
