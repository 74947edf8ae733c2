"""Every form of `.pdparams` that Paddle writes is read as Paddle reads it, and files that are written are Paddle's."""

import collections
import io
import pickle
import struct
import subprocess
import sys
import textwrap

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ernie_vil2.checkpoints.formats.paddle_file import (
    NAME_TABLE,
    OPTIMISER,
    SLICES,
    load_pdparams,
    open_pdparams,
    write_pdparams,
)
from ernie_vil2.errors import CheckpointError

PROTOCOLS = (2, 3, 4)


def as_paddle_loads(path):
    return {key: np.asarray(value) for key, value in paddle.load(str(path), return_numpy=True).items()}


def arrays():
    rng = np.random.default_rng(0)
    made = {"matrix": rng.standard_normal((5, 7)), "long": rng.standard_normal(3000), "scalar": np.array(2.5)}
    made = {key: value.astype(np.float32) for key, value in made.items()}
    return made | {"empty": np.zeros((0, 3), np.float32), "half": rng.standard_normal(9).astype(np.float16)}


@pytest.fixture
def saved(tmp_path):
    """Function bytes -> path of a file that holds them."""

    def save(data):
        path = tmp_path / "model.pdparams"
        path.write_bytes(data)
        return path

    return save


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_state_dict_of_a_layer(tmp_path, protocol, assert_same_bits):
    path = tmp_path / "model.pdparams"
    layer = paddle.nn.Sequential(paddle.nn.Linear(3, 4), paddle.nn.LayerNorm(4), paddle.nn.BatchNorm1D(4))
    paddle.save(layer.state_dict(), str(path), protocol=protocol)
    loaded = load_pdparams(path)
    assert_same_bits(loaded, {key: value.numpy() for key, value in layer.state_dict().items()})
    assert_same_bits(loaded, as_paddle_loads(path))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", (dict, collections.OrderedDict))
def test_dictionary_of_tensors(tmp_path, protocol, kind, assert_same_bits):
    path = tmp_path / "model.pdparams"
    state = kind((key, paddle.to_tensor(value)) for key, value in arrays().items())
    paddle.save(state, str(path), protocol=protocol)
    assert_same_bits(load_pdparams(path), arrays())


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dense", (False, True), ids=("tuples of name and array", "calls of eval"))
def test_forms_of_a_mixed_dictionary(tmp_path, protocol, dense, assert_same_bits):
    """A dictionary that also holds an array is no state dict for Paddle, which then pickles its tensors one by one."""
    path = tmp_path / "model.pdparams"
    tensors = {key: paddle.to_tensor(value) for key, value in arrays().items() if value.size}
    state = {key: value.value().get_tensor() if dense else value for key, value in tensors.items()}
    paddle.save(collections.OrderedDict(state | {"plain": np.arange(3.0)}), str(path), protocol=protocol)
    assert (b"eval" in path.read_bytes()) == dense
    wanted = {key: value for key, value in arrays().items() if value.size} | {"plain": np.arange(3.0)}
    assert_same_bits(load_pdparams(path), wanted)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_bfloat16_is_kept_as_uint16(tmp_path, protocol):
    path = tmp_path / "model.pdparams"
    paddle.save({"w": paddle.to_tensor([1.0, -2.0]).astype("bfloat16")}, str(path), protocol=protocol)
    tensors = open_pdparams(path)
    assert tensors.spec("w") == ("bfloat16", (2,))
    assert tensors["w"].dtype == np.uint16 and tensors["w"].tolist() == [0x3F80, 0xC000]


@pytest.mark.parametrize("protocol", (2, 3, 4, 5))
@pytest.mark.parametrize("numpy_core", ("numpy._core", "numpy.core"), ids=("NumPy 2", "NumPy 1"))
def test_plain_arrays_of_both_numpy_versions(saved, protocol, numpy_core, assert_same_bits):
    wanted = arrays() | {"fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "big": np.arange(4, dtype=">f4")}
    file = io.BytesIO()
    pickler = pickle.Pickler(file, protocol)
    pickler.dump(wanted)
    data = file.getvalue()
    if numpy_core == "numpy.core":
        for name in (b"multiarray", b"numeric"):
            new, old = b"numpy._core." + name, b"numpy.core." + name
            saving = data.count(b"\x8c" + bytes([len(new)]) + new)
            data = data.replace(b"\x8c" + bytes([len(new)]) + new, b"\x8c" + bytes([len(old)]) + old)
            data = data.replace(b"c" + new + b"\n", b"c" + old + b"\n")
            if protocol > 3 and saving:
                data = data[:3] + struct.pack("<Q", struct.unpack("<Q", data[3:11])[0] - saving) + data[11:]
    loaded = load_pdparams(saved(data))
    assert all(array.dtype.isnative and array.flags.c_contiguous for array in loaded.values())
    assert_same_bits(
        loaded, {key: value.astype(value.dtype.newbyteorder("="), order="C") for key, value in wanted.items()}
    )


def test_file_of_python_2(saved):
    name = b"U\x01w"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01K\x02\x85cnumpy\ndtype\n"
        b"U\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08"
        + np.array([1.5, -0.0], np.float32).tobytes()
        + b"tb"
    )
    path = saved(b"\x80\x02ccollections\nOrderedDict\n]]" + name + array + b"eaa\x85R.")
    path_of_dict = saved(b"\x80\x02}" + name + array + b"s.")
    assert load_pdparams(path_of_dict)["w"].tobytes() == np.array([1.5, -0.0], np.float32).tobytes()
    assert load_pdparams(path)["w"].tobytes() == load_pdparams(path_of_dict)["w"].tobytes()


def sliced(limit=100):
    """A state dict as Paddle cuts it for protocols 2 and 3, with a small limit instead of 2**30 bytes."""
    state, table = dict(arrays()), {}
    for key in ("long", "matrix"):
        flat = state[key].flatten()
        parts = [flat[start : start + limit] for start in range(0, flat.size, limit)]
        names = [f"{key}@@.{index}" for index in range(len(parts))]
        table[key] = {"OriginShape": state.pop(key).shape, "slices": names}
        state |= dict(zip(names, parts, strict=True))
    return state | {"StructuredToParameterName@@": {"scalar": "p"}, "UnpackBigParamInfor@@": table}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_slices_of_big_parameters(saved, protocol, assert_same_bits):
    path = saved(pickle.dumps(sliced(), protocol))
    assert_same_bits(load_pdparams(path), arrays())
    assert_same_bits(load_pdparams(path), as_paddle_loads(path))


def test_slices_that_do_not_fit(saved):
    lacking, wrong = sliced(), sliced()
    del lacking["long@@.3"]
    wrong["UnpackBigParamInfor@@"]["long"]["OriginShape"] = (3001,)
    with pytest.raises(CheckpointError, match="slices of long are incomplete"):
        load_pdparams(saved(pickle.dumps(lacking, 2)))
    with pytest.raises(CheckpointError, match="slices of long do not add up"):
        load_pdparams(saved(pickle.dumps(wrong, 2)))


def test_tensors_that_are_one_stay_one(saved):
    array = np.arange(100000, dtype=np.float32)
    loaded = load_pdparams(saved(pickle.dumps({"a": array, "b": array}, 4)))
    assert loaded["a"] is loaded["b"] and np.array_equal(loaded["a"], array)


dtypes = st.sampled_from(["<f4", "<f2", "<u2", "<f8", ">f4", "<i8", "?"])
RESERVED = ("LR_Scheduler", NAME_TABLE, SLICES)
"""Keys that mean something to Paddle; hypothesis takes texts out of the code that it tests"""
keys = st.text(st.characters(min_codepoint=46, max_codepoint=122), min_size=1, max_size=20).filter(
    lambda key: key not in RESERVED and not OPTIMISER.search(key)
)
some_arrays = hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))


@given(state=st.dictionaries(keys, some_arrays, min_size=1, max_size=4), fortran=st.booleans())
def test_what_is_written_is_read_by_all(tmp_path_factory, assert_same_bits, state, fortran):
    path = tmp_path_factory.getbasetemp() / "written.pdparams"
    write_pdparams(
        path, {key: np.asfortranarray(value) if fortran and value.ndim else value for key, value in state.items()}
    )
    wanted = {key: value.astype(value.dtype.newbyteorder("=")) for key, value in state.items()}
    assert_same_bits(load_pdparams(path), wanted)
    with open(path, "rb") as handle:
        assert_same_bits(pickle.load(handle), wanted)


def test_paddle_reads_what_is_written(tmp_path, random_bits, assert_same_bits):
    path = tmp_path / "written.pdparams"
    state = {
        "w": random_bits((3, 5)),
        "half": random_bits((4,), "float16"),
        "scalar": random_bits(()),
        "brain": np.array([0x3F80, 0x7FC1], np.uint16),
    }
    write_pdparams(path, state)
    tensors = paddle.load(str(path))
    assert tensors["brain"].dtype == paddle.bfloat16
    assert_same_bits({key: value.numpy() for key, value in tensors.items()}, state)
    layer = paddle.nn.Linear(2, 3)
    write_pdparams(path, {"weight": np.ones((2, 3), np.float32), "bias": np.ones(3, np.float32)})
    assert layer.set_state_dict(paddle.load(str(path))) == ([], [])
    assert layer.weight.numpy().sum() == 6


@pytest.mark.parametrize("existing", (False, True))
def test_a_full_disk_leaves_the_old_file_or_none(tmp_path, existing):
    path = tmp_path / "model.pdparams"
    if existing:
        write_pdparams(path, {"old": np.zeros(3)})
    code = """
        import resource, sys
        import numpy as np
        from ernie_vil2.checkpoints.formats.paddle_file import write_pdparams
        from ernie_vil2.errors import CheckpointError
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            write_pdparams(sys.argv[1], {"new": np.zeros(10000)})
        except CheckpointError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), path], capture_output=True, text=True)
    assert done.stdout.startswith(f"cannot write {path}: File too large;"), done.stderr
    assert [item.name for item in tmp_path.iterdir()] == ([path.name] if existing else [])
    assert not existing or list(load_pdparams(path)) == ["old"]


def test_only_one_tensor_is_in_memory(tmp_path):
    import tracemalloc

    path = tmp_path / "model.pdparams"
    one = np.zeros(1 << 18, np.float32)
    for protocol in (2, 4):
        path.write_bytes(pickle.dumps({f"t{index}": one + index for index in range(8)}, protocol))
        tracemalloc.start()
        tensors = open_pdparams(path)
        for index, key in enumerate(tensors):
            assert tensors[key][0] == index
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # A new array is read while the loop still holds the last one; text needs its decoding chunks besides.
        assert peak < (2.2 if protocol == 4 else 12) * one.nbytes


def test_a_file_cut_while_open_is_an_error(tmp_path):
    path = tmp_path / "model.pdparams"
    write_pdparams(path, {"w": np.zeros(10000)})
    tensors = open_pdparams(path)
    with open(path, "r+b") as handle:
        handle.truncate(5000)
    with pytest.raises(CheckpointError, match="data of w is damaged"):
        tensors["w"]
