"""Sources of every kind, opened and read to their last row."""

import csv
import io
import json
import os
import random

from ernie_vil2.data.images.decode import decode
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.errors import ConfigError, DataError
from tests.fuzz import source_files
from tests.fuzz.damage import damaged
from tests.fuzz.example import Example
from tests.fuzz.judge import Target, wrong_sentence
from tests.fuzz.pickles import spoilt_pickle
from tests.fuzz.source_files import LETTERS, TEXTS, images, lmdb_content, rows, spoilt_tar, table, tsv
from tests.fuzz.values import ODD, changed_value, encoded, json_text, odd_near, spoilt_json, yaml_text
from tests.fuzz.weight_files import Files

MOST_ROWS = 60
SCENES = ("split", "size", "seed", "image_size", "languages", "captions", "cache", "noise", "wrong", "sizes", "")


def read_all(example: Example, folder: object) -> int:
    """Open a source, ask it everything, and load its rows; a bad row is skipped when it says so in a sentence."""
    source = open_source(example.told["spec"])
    said = [source.describe(), *source.notes, *source.faults(True), *map(str, source.unused_files())]
    if sum(source.shard_sizes()) != len(source):
        raise AssertionError(f"shards of {source.shard_sizes()} rows do not make {len(source)}")
    for line in said:
        str(line).encode("utf-8", "backslashreplace")
    places = range(len(source))
    if len(source) > MOST_ROWS:
        places = (*places[: MOST_ROWS - 3], *places[-3:])
    loaded = 0
    for index in places:
        source.where(index)
        for ask in (source.key, source.__getitem__):
            try:
                found = ask(index)
            except DataError as error:
                if wrong_sentence(str(error)):
                    raise
                continue
            if ask == source.key:
                continue
            loaded += 1
            if found.image is None:
                continue
            try:
                decode(found.image)
            except DataError as error:
                if wrong_sentence(str(error)):
                    raise
    return loaded


TARGETS = {"source": Target(read_all, (DataError, ConfigError))}


def make(rng: random.Random) -> Example:
    """A source of any kind, damaged, and the specification by which it is opened."""
    files, spec = rng.choice(KINDS)(rng)
    if rng.randrange(12) == 0 and files:
        name = rng.choice(list(files))
        way = rng.choice((0, 0, 0, 1, 1, 1, 3, 3, 3, 3, 2))
        data = files.pop(name)
        if way == 1:
            files[name + "/"] = b""
        elif way == 2:
            files[name + "|"] = b""
        elif way == 3:
            files[name] = damaged(rng, data)
    if rng.randrange(10) == 0:
        spec = odd_near(rng, spec) if rng.randrange(3) == 0 else changed_value(rng, spec)
    return Example("source", files, {"spec": within(without_markers(spec))})


def within(spec):
    """A specification whose paths stay in the folder of a case: the root of a machine takes as long as it has files."""
    if isinstance(spec, dict):
        return {key: within(value) if key in ("path", "source", "sources") else value for key, value in spec.items()}
    if isinstance(spec, list):
        return [within(part) for part in spec]
    if isinstance(spec, str) and (os.path.normpath(spec).strip("/") == "" or os.path.normpath(spec).startswith("..")):
        return "nowhere"
    return spec


def without_markers(spec):
    """A specification that JSON can hold."""
    return json.loads(json.dumps(spec))


def of_tsv(rng: random.Random) -> tuple[Files, object]:
    lines = tsv()
    for _ in range(rng.choice((1, 1, 3))):
        line = rng.choice(lines)
        at = rng.randrange(len(line))
        line[at] = odd_cell(rng, line[at])
    if rng.randrange(5) == 0:
        rng.choice(lines).insert(rng.randrange(3), rng.choice(("", TEXTS[0])))
    text = "\n".join("\t".join(line) for line in lines) + "\n" * rng.randrange(3)
    return {"rows.tsv": spoilt_bytes(rng, text)}, rng.choice(("rows.tsv", {"kind": "tsv", "path": "rows.tsv"}, "*.tsv"))


def odd_cell(rng: random.Random, text: str) -> str:
    """Another text for a cell or a caption."""
    if len(text) > 200 and rng.randrange(2):
        return damaged(rng, text.encode()).decode("latin-1")
    place = rng.randrange(len(text) + 1)
    return rng.choice(
        (
            "",
            " ",
            text[:place] + rng.choice(LETTERS) + text[place:],
            text * 3,
            "x" * 70000,
            '"' + text,
            text + '"',
            "\t".join((text, text)),
            rng.choice(LETTERS),
            "../" + text,
            "/" + text,
            "=" + text,
            "a.jpg",
            "none.png",
            "data:image/png;base64," + text,
            "data:," + text,
            "file:a.jpg",
            "sub\\c.jpg",
            "a.jpg\x00",
            "/dev/zero",
        )
    )


def spoilt_bytes(rng: random.Random, text: str) -> bytes:
    data = encoded(rng, text)
    return damaged(rng, data) if rng.randrange(4) == 0 else data


def of_jsonl(rng: random.Random) -> tuple[Files, object]:
    lines = [json_text(changed_value(rng, row) if rng.randrange(2) else row) for row in rows()]
    if rng.randrange(4) == 0:
        lines[rng.randrange(len(lines))] = rng.choice(
            (
                "",
                " ",
                "[]",
                "null",
                "{",
                "1e999",
                '"x"',
                "{}{}",
                '{"image":"a.jpg","image":"b.png","text":"x"}',
                '{"image":"a.jpg","text":"\\ud800"}',
                "﻿{}",
            )
        )
    data = spoilt_bytes(rng, "\n".join(lines) + "\n")
    name = rng.choice(("rows.jsonl", "rows.jsonl", "rows.ndjson", "metadata.jsonl"))
    spec = rng.choice(
        (
            name,
            {"kind": "jsonl", "path": name, "sentences": "easy"},
            {"path": name, "allow_outside": True},
            {"path": name, "max_line_bytes": rng.choice((0, 1, -1, 100, 1 << 40))},
            "." if name.startswith("meta") else name,
            [name, name],
        )
    )
    return {**images(), name: data}, spec


def of_csv(rng: random.Random) -> tuple[Files, object]:
    cells = table()
    for _ in range(rng.choice((1, 1, 3))):
        row = rng.choice(cells)
        at = rng.randrange(len(row))
        row[at] = odd_cell(rng, row[at])
    if rng.randrange(6) == 0:
        del rng.choice(cells)[rng.randrange(2)]
    buffer = io.StringIO()
    try:
        csv.writer(
            buffer,
            delimiter=rng.choice(",;\t"),
            quoting=rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE)),
            escapechar="\\",
        ).writerows(cells)
    except csv.Error:
        buffer.write("image,caption\na.jpg,x\n")
    text = buffer.getvalue()
    if rng.randrange(5) == 0:
        place = rng.randrange(len(text) + 1)
        text = text[:place] + rng.choice(('"', '""', '"\n', ",", "\r", "\x00")) + text[place:]
    name = rng.choice(("captions.csv", "captions.csv", "metadata.csv", "other.csv"))
    spec = rng.choice(
        (".", name, {"kind": "folder", "path": ".", "metadata": name}, {"path": name, "allow_outside": True})
    )
    return {**images(), name: spoilt_bytes(rng, text)}, spec


def of_tars(rng: random.Random) -> tuple[Files, object]:
    files = dict(source_files.shards())
    name = rng.choice(list(files))
    spec = rng.choice(
        ("tars", "tars/*.tar", "tars/00000.tar", {"kind": "tar", "path": "tars"}, "{kind: tar, path: tars}")
    )
    if name.endswith("index.json"):
        files[name] = spoilt_json(rng, json.loads(files[name]))
    elif name.endswith(".index"):
        files[name] = damaged(rng, files[name])
    else:
        files[name] = spoilt_tar(rng, files[name])
        if rng.randrange(3):
            files = {other: data for other, data in files.items() if other.endswith(".tar")}
    if rng.randrange(5) == 0:
        files = {"tars/00000.tar": spoilt_tar(rng, source_files.plain_tar())}
    return files, spec


def of_lmdb(rng: random.Random) -> tuple[Files, object]:
    spec = rng.choice(("base", {"kind": "lmdb", "path": "base"}, "{kind: lmdb, path: base}"))
    if rng.randrange(4) == 0:
        files = dict(source_files.lmdb_folder())
        name = rng.choice([name for name in files if name.endswith("data.mdb")])
        files[name] = damaged(rng, files[name])
        return files, spec
    parts = lmdb_content()
    part = rng.choice(parts)
    key = rng.choice(list(part))
    way = rng.randrange(6)
    if way == 0:
        del part[key]
    elif way == 1:
        part[rng.choice((b"\xff", b"0\x00", b"-1", b"99999999999999999999", b" 1", b"x" * 500))] = part.pop(key)
    elif way == 2 or part is parts[0]:
        part[key] = rng.choice(
            (
                damaged(rng, part[key]),
                b"",
                b"-5",
                b"3.5",
                b"99999999999999999999999",
                "٣".encode(),
                b"\xff\xfe",
                b"1" * 5000,
            )
        )
    else:
        part[key] = spoilt_pickle(rng, part[key])
    return source_files.written_lmdb(*parts), spec


def of_chinese_clip(rng: random.Random) -> tuple[Files, object]:
    files = source_files.chinese_clip()
    name = rng.choice(list(files))
    if name.endswith(".jsonl") and rng.randrange(3):
        lines = files[name].decode().splitlines()
        at = rng.randrange(len(lines))
        lines[at] = json_text(changed_value(rng, json.loads(lines[at])))
        files[name] = spoilt_bytes(rng, "\n".join(lines) + "\n")
    else:
        files[name] = damaged(rng, files[name])
    spec = rng.choice(
        (
            "clip",
            {
                "kind": "chinese_clip",
                "path": "clip",
                "split": rng.choice(("train", "train", "valid", "", "../x", "tr\x00")),
            },
        )
    )
    return files, spec


def of_stems(rng: random.Random) -> tuple[Files, object]:
    files = source_files.stems()
    name = rng.choice(list(files))
    if name.endswith(".json"):
        files[name] = spoilt_json(rng, json.loads(files[name]))
    else:
        files[name] = damaged(rng, files[name])
    if rng.randrange(4) == 0:
        odd = rng.choice(
            (".JPG", "é.jpg", "a\nb.jpg", "\udcff.jpg", "x\x1b[2J.jpg", ".hidden.jpg", "x.jpg.txt", "n" * 200 + ".jpg")
        )
        files[f"stems/{odd}"] = files.pop(name)
        files[f"stems/{os.path.splitext(odd)[0]}.txt"] = b"x"
    return files, rng.choice(("stems", {"kind": "files", "path": "stems"}, "st*"))


def of_one_side(rng: random.Random) -> tuple[Files, object]:
    """A folder of pictures, or a text file of captions."""
    if rng.randrange(2):
        files = {f"photos/{name}": data for name, data in images().items()}
        name = rng.choice(list(files))
        odd = rng.choice(
            ("é.jpg", "a\nb.jpg", "\udcff.jpg", "x\x1b[2J.jpg", ".hidden.jpg", "x", "captions.txt", "a.md")
        )
        files[f"photos/{odd}"] = damaged(rng, files.pop(name) if rng.randrange(2) else files[name])
        return files, rng.choice(("photos", {"kind": "pictures", "path": "photos"}, "ph*"))
    text = spoilt_bytes(rng, "\n".join(odd_cell(rng, text) for text in TEXTS))
    return {"queries.txt": text}, rng.choice(("queries.txt", {"kind": "texts", "path": "queries.txt"}, "*.txt"))


def of_parquet(rng: random.Random) -> tuple[Files, object]:
    """A Parquet file that is damaged anywhere, or in its footer alone."""
    data = source_files.parquet(rng.choice(source_files.PARQUET_CODECS))
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    if rng.randrange(3):
        footer = bytearray(data[start:-8])
        for _ in range(rng.choice((1, 1, 2, 4))):
            footer[rng.randrange(len(footer))] = rng.randrange(256)
        data = data[:start] + bytes(footer) + data[-8:]
    else:
        data = damaged(rng, data)
    return {"set/a.parquet": data}, rng.choice(("set", "set/a.parquet", {"kind": "parquet", "path": "set"}))


def of_videos(rng: random.Random) -> tuple[Files, object]:
    files = dict(source_files.clips())
    name = rng.choice(list(files))
    odd = rng.choice((name, "clips/é.mp4", "clips/a\nb%02d.mkv", "clips/\udcff.avi", "clips/x\x1b[2J.ts"))
    files[odd] = damaged(rng, files.pop(name))
    frames = rng.choice(("every 1 s", "every 0.001 s", 3, 100_000, "every 9e9 s", -1, None, [], "every \x00 s"))
    return files, rng.choice(("clips", "clips/*", {"kind": "videos", "path": "clips", "frames": frames}))


def of_beside(rng: random.Random) -> tuple[Files, object]:
    """A table with tags and boxes from files beside it."""
    tags = [{"id": str(number), "tags": ["猫"]} for number in range(4)]
    boxes = [{"id": str(number), "boxes": [[0, 0, 5, 5]]} for number in range(4)]
    field, lines = rng.choice((("tags", tags), ("boxes", boxes)))
    at = rng.randrange(len(lines))
    texts = [json_text(changed_value(rng, line) if place == at else line) for place, line in enumerate(lines)]
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows()).encode()
    return {**images(), "rows.jsonl": data, "beside.jsonl": spoilt_bytes(rng, "\n".join(texts) + "\n")}, {
        "path": "rows.jsonl",
        field: "beside.jsonl",
    }


def of_mix(rng: random.Random) -> tuple[Files, object]:
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows()).encode()
    spec = {
        "kind": "mix",
        "sources": [
            {"source": "rows.jsonl", "weight": 1},
            {"source": {"kind": "scenes", "size": 3, "image_size": 16}, "weight": 0.5},
        ],
    }
    spec = changed_value(rng, spec) if rng.randrange(5) else spec
    if rng.randrange(3) == 0:
        spec = yaml_text(spec).strip() if rng.randrange(2) else json_text(spec)
    return {**images(), "rows.jsonl": data}, spec


def of_scenes(rng: random.Random) -> tuple[Files, object]:
    options = {"split": "train", "size": 3, "image_size": 16}
    name = rng.choice(SCENES)
    value = rng.choice([value for value in ODD if not isinstance(value, str) or len(value) < 100])
    if rng.randrange(2):
        options[name] = value if rng.randrange(3) else odd_near(rng, options.get(name, 1))
        return {}, {"kind": "scenes", **options}
    text = ",".join(f"{key}={item}" for key, item in options.items())
    return {}, f"scenes:{text},{name}={value}" if rng.randrange(
        4
    ) else f"scenes:{damaged(rng, text.encode()).decode('latin-1')}"


WRITTEN = (
    "{kind: tsv, path: rows.tsv}", "rows.tsv", "{path: [a, b]}", "*.tsv", "**/*", "[", "~", "~nobody/x", "rows.tsv/",
    "./rows.tsv",
    "a.jpg", "sub", "", ".", "n" * 5000, "{kind: tsv, path: &a [*a]}", "{" * 3000 + "}",
    "{kind: scenes, size: 2, image_size: 8}",
    "rows.tsv::rows.tsv", "rows.tsv::", "::", "tars/{00000..00001}.tar", "tars/{0..99999999999}.tar",
    "{a,b}{a,b}{a,b}.tar",
    "{" + "a," * 3000 + "b}.tar", "{1..9}" * 9, "tars/{00001..00000}.tar", "{..}", "{a",
    "tars/{00000,00001}.tar::rows.tsv",
    "file:rows.tsv", "file:///none/rows.tsv", "http://x/y.tar", "s3://x/y", "pipe:cat rows.tsv", "C:\\rows.tsv",
    ".\\rows.tsv",
    "rows.tsv\n", " rows.tsv", "rows.tsv#x", "rows.tsv?x=1", "-", "/dev/null", "/dev/zero", "/proc/self/mem",
    "/dev/stdin",
)  # fmt: skip


def of_text(rng: random.Random) -> tuple[Files, object]:
    """A specification that is a string of YAML, or a path of any form."""
    tars = {name: data for name, data in source_files.shards().items() if name.endswith(".tar")}
    files = {**images(), **tars, "rows.tsv": "\n".join("\t".join(line) for line in tsv()).encode()}
    spec = rng.choice(WRITTEN)
    if rng.randrange(2):
        spec = damaged(rng, spec.encode()).decode("latin-1")
    return files, spec


KINDS = (
    of_tsv,
    of_jsonl,
    of_jsonl,
    of_csv,
    of_csv,
    of_tars,
    of_tars,
    of_lmdb,
    of_chinese_clip,
    of_stems,
    of_one_side,
    of_parquet,
    of_videos,
    of_beside,
    of_mix,
    of_scenes,
    of_text,
)
