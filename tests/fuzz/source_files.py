"""Small sources of every kind, made by the project's own writers: tables, folders, tars, lmdb, Chinese-CLIP's files."""

import base64
import functools
import io
import json
import os
import random
import tarfile
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.sources.tar.write import write_shards
from tests.data.videos.drawn import write_video
from tests.fuzz.damage import EXTREMES, damaged
from tests.fuzz.example import WRITTEN
from tests.fuzz.image_files import valid
from tests.fuzz.weight_files import Files, contents

TEXTS = ("一只猫", "a dog, on the left", '红色的"圆"', "two\nlines", "x" * 60)
LETTERS = (
    "\x00",
    "\x1b[1m",
    "\u3000",
    "\ud83d\ude00"[:0] + "😀",
    "\ufeff",
    "\u202e",
    "\x85",
    "\u2028",
    "e\u0301",
    "[",
    "['a'",
    '["a"]',
    "{",
    "\\",
    "，",
)
PARQUET_CODECS = ("none", "snappy", "zstd", "gzip")
TAR_FIELDS = ((0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 6), (263, 2), (345, 155))
"""(offset, length) of name, mode, size, time, type, link, magic, version and prefix in the header of a member"""
SIZES = (
    b"77777777777\0",
    b"\x80" + b"\xff" * 11,
    b"\xff" * 12,
    b"\x80" + bytes(10) + b"\x01",
    b"-0000000001\0",
    b"            ",
    b"00000000000\0",
    b"99999999999\0",
    b"1e3\0\0\0\0\0\0\0\0\0",
    b"\0" * 12,
)
PAX = (
    b"12 size=99999\n",
    b"20 path=../../../x.png\n",
    b"99999999999 size=1\n",
    b"11 size=-1\n",
    b"0 a=b\n",
    b"16 GNU.sparse.major=1\n",
    b"x",
    b"30 mtime=nan\n",
    b"25 hdrcharset=BINARY\n13 path=\xff\xfe\n",
)


@functools.cache
def pictures() -> tuple[bytes, bytes]:
    """A JPEG and a PNG."""
    return tuple(next(data for kind, data in valid() if kind == form) for form in ("JPEG", "PNG"))


@functools.cache
def encoded_picture() -> str:
    return base64.b64encode(pictures()[1]).decode()


def images() -> Files:
    return {"a.jpg": pictures()[0], "b.png": pictures()[1], "sub/c.jpg": pictures()[0]}


def rows() -> list[dict]:
    """Rows of JSON lines of every form."""
    return [
        {
            "id": "1",
            "image": "a.jpg",
            "texts": list(TEXTS[:2]),
            "tags": ["猫", "狗"],
            "boxes": [[0, 0, 9, 9], [1.5, 2, 4, 8]],
        },
        {"id": 2, "image_base64": encoded_picture(), "text": TEXTS[2]},
        {"file_name": "sub/c.jpg", "caption": TEXTS[3], "tags": "红,圆"},
        {"image_id": "b.png", "sentences": [["sur_text", TEXTS[0]], ["easy", TEXTS[1]]], "bbox": [[0, 0, 5, 5]]},
    ]


def tsv() -> list[list[str]]:
    return [[TEXTS[number % 3], f"图{number // 2}", encoded_picture()] for number in range(4)]


def table() -> list[list[str]]:
    return [["image", "caption", "tags", "boxes", "id"], ["a.jpg", "a dog, left", "猫,狗", "[[0,0,9,9]]", "1"],
            ["b.png", "['一', '二']", "", "", ""], ["sub/c.jpg", 'two\nlines "x"', "红", "", "3"]]  # fmt: skip


@functools.cache
def shards() -> Files:
    """A folder `tars` of two tars with index.json, and an index beside each tar."""
    with tempfile.TemporaryDirectory() as place:
        folder, before = Path(place), os.getcwd()
        for name, data in images().items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
        os.chdir(folder)
        try:
            write_shards(open_source("rows.jsonl"), "tars", 2)
            for tar in Path("tars").glob("*.tar"):
                os.utime(tar, ns=(WRITTEN, WRITTEN))
                open_source(tar)
        finally:
            os.chdir(before)
        return {f"tars/{name}": data for name, data in contents(folder / "tars").items()}


@functools.cache
def plain_tar() -> bytes:
    """A tar as webdataset has it, with long names in both forms."""
    buffer = io.BytesIO()
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
            for name, data in (("0.jpg", pictures()[0]), ("0.txt", TEXTS[0].encode()), ("n" * 120 + ".png",
            pictures()[1]),
                               ("n" * 120 + ".json", json.dumps({"caption": TEXTS[1]}).encode()), ("é/1.jpg",
                               pictures()[0]), ("é/1.txt", b"x")):  # fmt: skip
                about = tarfile.TarInfo(name)
                about.size = len(data)
                tar.addfile(about, io.BytesIO(data))
    return buffer.getvalue()


@functools.cache
def lmdb_folder() -> Files:
    """Chinese-CLIP's lmdb in the folder `base`."""
    return written_lmdb(*lmdb_content())


def lmdb_content() -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """What `imgs` and `pairs` hold."""
    import pickle

    images = {str(number).encode(): encoded_picture().encode() for number in range(3)} | {b"num_images": b"3"}
    pairs = {
        str(number).encode(): pickle.dumps((str(number // 2), str(number), TEXTS[number % 3])) for number in range(4)
    }
    return images, pairs | {b"num_samples": b"4"}


def written_lmdb(images: dict[bytes, bytes], pairs: dict[bytes, bytes]) -> Files:
    import lmdb

    with tempfile.TemporaryDirectory() as place:
        for name, content in (("imgs", images), ("pairs", pairs)):
            with lmdb.open(
                os.path.join(place, name), map_size=1 << 18, sync=False, metasync=False, lock=False
            ) as store:
                with store.begin(write=True) as writing:
                    for key, value in content.items():
                        if key and len(key) <= 511:
                            writing.put(key, value)
        return {f"base/{name}": data for name, data in contents(Path(place)).items()}


def chinese_clip() -> Files:
    texts = [{"text_id": number, "text": TEXTS[number], "image_ids": [number]} for number in range(3)]
    return {
        "clip/train_imgs.tsv": "".join(f"{number}\t{encoded_picture()}\n" for number in range(3)).encode(),
        "clip/train_texts.jsonl": "".join(json.dumps(text, ensure_ascii=False) + "\n" for text in texts).encode(),
    }


def stems() -> Files:
    found = {}
    for number in range(3):
        found[f"stems/0000{number}.jpg"] = pictures()[0]
        found[f"stems/0000{number}.txt"] = TEXTS[number].encode()
        found[f"stems/0000{number}.json"] = json.dumps(
            {"caption": TEXTS[number], "key": str(number), "url": "x"}
        ).encode()
    return found


@functools.cache
def clips() -> Files:
    """A video in each of three formats."""
    with tempfile.TemporaryDirectory() as place:
        forms = (("mp4", "mp4v"), ("avi", "MJPG"), ("mkv", "MJPG"))
        paths = [write_video(Path(place, f"a.{suffix}"), 9, code=code) for suffix, code in forms]
        return {f"clips/{path.name}": path.read_bytes() for path in paths}


def spoilt_tar(rng: random.Random, data: bytes) -> bytes:
    """A tar with one field of one header changed, its checksum right; or with a block moved, doubled or added."""
    blocks = [data[place : place + 512] for place in range(0, len(data), 512)]
    heads = [number for number, block in enumerate(blocks) if block[257:262] == b"ustar"]
    if not heads or rng.randrange(6) == 0:
        return damaged(rng, data)
    at, way = rng.choice(heads), rng.randrange(8)
    if way < 5:
        head = bytearray(blocks[at])
        offset, length = rng.choice(TAR_FIELDS)
        if offset == 124:
            value = rng.choice((*SIZES, b"%011o\0" % (rng.choice(EXTREMES) % (1 << 33))))
        elif offset == 156:
            value = rng.choice(b"0127356LKxgSVNDMX\0A").to_bytes(1, "big")
        else:
            value = rng.choice(
                (
                    b"",
                    b"../../x.jpg",
                    b"/etc/x.jpg",
                    b"x.jpg\0y",
                    b"\xff\xfe.png",
                    b"a" * length,
                    b"./0.txt",
                    b"\x1b[2J.jpg",
                    b"0.jpg",
                )
            )
        head[offset : offset + length] = value[:length].ljust(length, b"\0")
        blocks[at] = summed(head)
    elif way == 5:
        blocks.insert(at, blocks[at])
    elif way == 6:
        del blocks[at]
    else:
        head = bytearray(blocks[at])
        content = rng.choice(PAX)
        head[124:136] = b"%011o\0" % len(content)
        head[156:157] = rng.choice((b"x", b"g", b"L", b"K"))
        blocks[at:at] = [summed(head), content.ljust(512, b"\0")]
    return b"".join(blocks)


def summed(head: bytearray) -> bytes:
    """A header with its right checksum."""
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


@functools.cache
def parquet(codec: str) -> bytes:
    """A Parquet file as Hugging Face's data sets are, compressed by one of PARQUET_CODECS."""
    pictures = [{"bytes": data, "path": name} for name, data in images().items()]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {
        "image": pa.array(pictures, kind),
        "caption": [[TEXTS[number % len(TEXTS)], "又"] for number in range(len(pictures))],
        "tags": pa.array(["猫"] * len(pictures)).dictionary_encode(),
        "id": [str(number) for number in range(len(pictures))],
    }
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, row_group_size=2, compression=codec)
    return out.getvalue()
