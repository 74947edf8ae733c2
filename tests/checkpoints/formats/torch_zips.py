"""Files as torch.save writes them, made without torch, for tests of the reader and of the converter."""

import io
import pickle
import struct
import zipfile

import numpy as np

STORAGES = {
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "float64": "DoubleStorage",
    "uint16": "BFloat16Storage",
    "int64": "LongStorage",
    "bool": "BoolStorage",
}


class Named:
    """Pickles as the global `module name`, or as a call of it where `args` are given."""

    def __init__(self, module, name, *args):
        self.module, self.name, self.args = module, name, args


class Storage:
    """Pickles as a persistent id ('storage', class, key, 'cpu', elements)."""

    def __init__(self, key, dtype, count):
        self.key, self.dtype, self.count = key, dtype, count


class Writer:
    """The pickle of a value as torch writes it, from instructions put together here."""

    def __init__(self):
        self.out = io.BytesIO()

    def dumps(self, value):
        self.out.write(b"\x80\x02")
        self.write(value)
        self.out.write(b".")
        return self.out.getvalue()

    def write(self, value):
        if isinstance(value, Named):
            self.out.write(f"c{value.module}\n{value.name}\n".encode())
            if value.args:
                self.write(value.args)
                self.out.write(b"R")
        elif isinstance(value, Storage):
            kind = Named("torch", STORAGES.get(value.dtype, value.dtype))
            self.write(("storage", kind, value.key, "cpu", value.count))
            self.out.write(b"Q")
        elif type(value) is dict:
            self.out.write(b"}(")
            for key, item in value.items():
                self.write(key)
                self.write(item)
            self.out.write(b"u")
        elif type(value) is tuple:
            self.out.write(b"(")
            for item in value:
                self.write(item)
            self.out.write(b"t")
        elif type(value) is list:
            self.out.write(b"](")
            for item in value:
                self.write(item)
            self.out.write(b"e")
        else:
            self.out.write(pickle.dumps(value, 2)[2:-1].replace(b"q\x00", b""))


def tensor(key, shape, stride=None, offset=0, dtype="float32", count=None):
    """The call that rebuilds a tensor: a view of the storage `key`."""
    steps = stride or tuple(int(np.prod(shape[place + 1 :])) for place in range(len(shape)))
    held = int(np.prod(shape)) if count is None else count
    storage = Storage(key, dtype, held)
    return Named("torch._utils", "_rebuild_tensor_v2", storage, offset, tuple(shape), steps, False, {})


def zipped(plan, storages, root="archive", **changes):
    """Bytes of a zip of torch.save: `plan` is what data.pkl describes, storages {key: array}; other members."""
    data = plan if isinstance(plan, bytes) else Writer().dumps(plan)
    members = {"data.pkl": data, "byteorder": b"little", "version": b"3\n"}
    members |= {f"data/{key}": np.ascontiguousarray(array).tobytes() for key, array in storages.items()} | changes
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(f"{root}/{name}", content)
    return buffer.getvalue()


def state_file(state, wrap=lambda plan: plan, root="archive"):
    """Bytes of a zip of torch.save of {key: array}; `wrap` puts containers around the dictionary."""
    plan = {
        key: tensor(str(place), array.shape, dtype=array.dtype.name) for place, (key, array) in enumerate(state.items())
    }
    return zipped(wrap(plan), {str(place): array for place, array in enumerate(state.values())}, root)


def legacy_file(state):
    """Bytes of torch.save before version 1.6 of {key: array}."""
    plan = {}
    for place, (key, array) in enumerate(state.items()):
        made = tensor(str(place), array.shape, dtype=array.dtype.name)
        plan[key] = made
    head = [b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", pickle.dumps(1001, 2)]
    head.append(pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}, 2))
    head += [Writer().dumps(plan), pickle.dumps([str(place) for place in range(len(state))], 2)]
    data = [struct.pack("<q", array.size) + np.ascontiguousarray(array).tobytes() for array in state.values()]
    return b"".join(head + data)
