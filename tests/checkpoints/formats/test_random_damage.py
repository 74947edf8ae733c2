"""Random damage of small weights files: a result or one sentence, within bounds of time and memory, in one child."""

import io
import json
import pickle
import random
import struct

import numpy as np
import paddle

from ernie_vil2.checkpoints.formats.paddle_file import write_pdparams
from ernie_vil2.checkpoints.formats.safetensors_file import write_safetensors
from ernie_vil2.checkpoints.formats.torch_writer import write_torch
from tests.bounded import answers
from tests.checkpoints.formats.torch_zips import legacy_file, state_file

STATE = {
    "w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.zeros(40, np.float16),
    "half": np.zeros(3, np.uint16),
}
READ = "tests.checkpoints.formats.test_random_damage:read_all"
CASES = 400
PARTS = [
    b"\x85", b"\x86", b"\x87", b"(", b"t", b"l", b"e", b"a", b"}", b"]", b")", b"0", b"1", b"2", b"h\x00", b"q\x00",
    b"r\xff\xff\xff\xff", b"j\xff\xff\xff\xff", b"R", b"b", b"s", b"u", b"\x81", b"Q", b"N", b"\x88", b"\x94", b".",
    b"\x8a\xff" + b"\x7f" * 255, b"\x8a\x00", b"K\xff", b"J\xff\xff\xff\xff", b"G\x7f\xf0" + bytes(6),
    b"X\xff\xff\xff\xff",
    b"\x8e" + b"\xff" * 8, b"\x95" + b"\xff" * 8, b"cbuiltins\ntuple\n", b"ccollections\nOrderedDict\n",
    b"c_codecs\nencode\n", b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"ctorch\nSize\n", b"c__torch__\nA\n",
]  # fmt: skip


def read_all(path):
    """Open weights of any kind, and read every tensor."""
    from ernie_vil2.checkpoints.layouts.any_source import open_source

    source = open_source(path)
    for key in source.state:
        source.state[key]


def seeds(folder):
    """{suffix: bytes} of small files in every form."""
    write_pdparams(folder / "a.pdparams", STATE)
    torch, data = io.BytesIO(), io.BytesIO()
    write_torch(torch, STATE)
    write_safetensors(data, STATE)
    saved = io.BytesIO()
    paddle.save({key: paddle.to_tensor(value) for key, value in STATE.items() if key != "half"}, saved, protocol=4)
    return [
        (".pdparams", (folder / "a.pdparams").read_bytes()),
        (".pdparams", saved.getvalue()),
        (".pdparams", pickle.dumps(STATE, 2)),
        (".bin", torch.getvalue()),
        (".bin", state_file(STATE)),
        (".bin", legacy_file(STATE)),
        (".safetensors", data.getvalue()),
    ]


def damaged(data, chance):
    """One to four changes: a byte, a number of eight bytes, a cut, a part twice or elsewhere, a pickle instruction."""
    data = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place, other = chance.randrange(len(data) + 1), chance.randrange(len(data) + 1)
        kind = chance.randrange(7)
        if kind == 0 and place < len(data):
            data[place] = chance.randrange(256)
        elif kind == 1:
            data[place : place + 8] = struct.pack("<Q", chance.choice((0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)))
        elif kind == 2 and len(data) > 60:
            del data[max(place, 50) :]
        elif kind == 3:
            data[place:place] = data[min(place, other) : max(place, other)]
        elif kind == 4:
            data[place:place] = chance.choice(PARTS) * chance.choice((1, 1, 3, 1000))
        elif kind == 5:
            del data[place : place + chance.choice((1, 4, 30))]
        else:
            data[place : place + 4] = struct.pack(">f", chance.choice((float("nan"), 1e30, -1.0)))
    return bytes(data)


def damaged_header(data, chance):
    """A safetensors file in whose header one value is another."""
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    place = chance.choice([header, *(about for about in header.values())])
    place[chance.choice(list(place))] = chance.choice(
        (None, -1, 2**70, 1.5, "x", [], {}, [-1], [2**40, 2**40], ["F32"])
    )
    content = json.dumps(header).encode()
    return struct.pack("<Q", len(content)) + content + data[8 + length :]


def test_every_damage_is_a_result_or_a_sentence(tmp_path):
    chance, files = random.Random(13), seeds(tmp_path)
    calls = []
    for number in range(CASES):
        suffix, data = files[number % len(files)]
        change = damaged_header if suffix == ".safetensors" and chance.random() < 0.5 else damaged
        path = tmp_path / f"{number}{suffix}"
        path.write_bytes(change(data, chance))
        calls.append((READ, [path]))
    found = answers(calls)
    for (_, (path,)), answer in zip(calls, found, strict=True):
        assert answer.seconds < 5, path
        if answer.said is not None:
            assert not answer.said.startswith("TRACEBACK"), (path.name, answer.said)
            assert len(answer.said) <= 500 and answer.said.isprintable()
    assert found[-1].megabytes < 200
    assert 3 < sum(answer.said is None for answer in found) < CASES
