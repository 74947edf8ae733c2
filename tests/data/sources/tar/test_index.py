"""Tar shards: what tarfile and GNU tar write is read back; what is cut, hostile or foreign is named, no more."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.data.sources.base import RowError
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.errors import DataError
from tests.data.sources.tar.tars import FORMATS, contents, info, notes, pairs, wanted, write_tar

# What is written is read


STEM = st.text("abc猫/.é _", min_size=1, max_size=120).filter(
    lambda name: name[0] not in "/. " and "//" not in name and "/." not in name and name[-1] not in "/. "
)


@given(
    rows=st.dictionaries(
        STEM,
        st.tuples(
            st.binary(min_size=1, max_size=1500),
            st.sampled_from([".jpg", ".JPEG", ".png", ".webp", ".bmp"]),
            st.sampled_from(["txt", "json", "both"]),
        ),
        min_size=1,
        max_size=6,
    ),
    format=st.sampled_from(["gnu", "pax"]),
    spread=st.booleans(),
    dot=st.booleans(),
)
def test_every_format_and_order_of_members_is_read_back(tmp_path_factory, rows, format, spread, dot):
    members = []
    for stem, (image, suffix, kind) in rows.items():
        document = {"caption": f"说{stem}", "key": "0", "url": "http://x", "status": "success", "error_message": None}
        parts = [(stem + suffix, image)]
        parts += [(f"{stem}.txt", f"说{stem}\n".encode())] if kind != "json" else []
        parts += [(f"{stem}.json", json.dumps(document).encode())] if kind != "txt" else []
        members.append([("./" * dot + name, content) for name, content in parts])
    flat = [member for sample in members for member in sample]
    if spread:
        flat.sort(key=lambda member: member[0].rpartition(".")[2].lower() in ("txt", "json"))
    path = write_tar(tmp_path_factory.mktemp("trip") / "00000.tar", flat, format)
    source = open_source(path)
    assert source.notes == []
    assert contents(source) == [(image, (f"说{stem}",)) for stem, (image, _, _) in rows.items()]
    assert [sample.id for sample in source] == [f"00000/{stem}" for stem in rows]
    assert [source.key(index) for index in range(len(source))] == [sample.id for sample in source]
    assert [source.where(index) for index in range(len(source))] == [sample.where for sample in source]


def test_what_img2dataset_writes_is_read_as_it_is(tmp_path):
    def sample(number, status="success", **more):
        document = {"caption": f"字{number}", "url": "u", "key": f"{number:09d}", "status": status, "sha256": "0" * 64}
        yield f"{number:09d}.json", json.dumps({**document, **more}, ensure_ascii=False).encode()
        yield f"{number:09d}.txt", f"字{number}".encode()

    for shard in range(2):
        members = []
        for number in range(shard * 10000, shard * 10000 + 3):
            members += [(f"{number:09d}.jpg", b"jpg%d" % number)] if number % 10000 != 1 else []
            members += sample(number, "success" if number % 10000 != 1 else "failed_to_download", id=number)
        timed = [(info(name, mtime=1700000000.25), content) for name, content in members]  # a pax header each
        write_tar(tmp_path / f"{shard:05d}.tar", timed, "pax")
        (tmp_path / f"{shard:05d}_stats.json").write_text("{}")
        (tmp_path / f"{shard:05d}.parquet").write_bytes(b"PAR1")
    source = open_source(tmp_path)
    assert contents(source) == [(b"jpg%d" % n, (f"字{n}",)) for n in (0, 2, 10000, 10002)]
    ids = [f"{tmp_path}/{name}" for name in ("00000.tar#0", "00000.tar#2", "00001.tar#10000", "00001.tar#10002")]
    assert [sample.id for sample in source] == ids and source.shard_sizes() == [2, 2]
    assert len(source.notes) == 1 and "samples without an image (2)" in notes(source) and "failed" in notes(source)
    assert "000000001." in notes(source) and list(source.faults(checksums=True)) == []


@pytest.mark.parametrize(
    "document, texts, tags, image_id",
    [
        ({"texts": ["a", "b"], "caption": "c"}, ("a", "b"), (), "x/0"),
        ({"caption": "c", "text": "d", "tags": "猫、狗"}, ("c",), ("猫", "狗"), "x/0"),
        ({"captions": "one", "tags": ["t"], "id": 7}, ("one",), ("t",), "7"),
        ({"text": "d", "image_id": "seven"}, ("d",), (), "seven"),
        ({"caption": None, "image_id": 8}, ("from txt",), (), "8"),
        ({"caption": ""}, ("from txt",), (), "x/0"),
    ],
)
def test_keys_of_the_json(tmp_path, document, texts, tags, image_id):
    members = [("0.jpg", b"i"), ("0.txt", b"\xef\xbb\xbffrom txt\r\n"), ("0.json", json.dumps(document).encode())]
    source = open_source(write_tar(tmp_path / "x.tar", members))
    assert (source[0].texts, source[0].tags, source[0].id, source.key(0)) == (texts, tags, image_id, image_id)


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("1.json", b"{", "00001.jpg: not valid JSON"),
        ("1.json", b"[]", "instead of an object"),
        ("1.json", b'{"url": "x"}', "no caption"),
        ("1.json", b"[" * 100000, "JSON"),
        ("1.txt", b"\xff", "not UTF-8"),
        ("1.txt", b" \n", "a caption is empty"),
    ],
)
def test_a_bad_caption_costs_its_own_sample(tmp_path, name, content, words):
    members = [*pairs(1), ("00001.jpg", b"i"), (f"0000{name}", content), *pairs(1, start=2)]
    source = open_source(write_tar(tmp_path / "x.tar", members))
    errors = []
    assert len(list(source.samples(on_error="skip", errors=errors))) == 2
    assert isinstance(errors[0], RowError) and words in str(errors[0]) and "\n" not in str(errors[0])


def test_what_gnu_tar_writes_is_read(tmp_path):
    folder = tmp_path / "sub" / ("深" * 60)
    folder.mkdir(parents=True)
    for name, content in pairs(3):
        (folder / name).write_bytes(content)
    for format in ("v7", "ustar", "gnu", "pax"):
        if format in ("gnu", "pax"):
            inside = "sub"
        else:  # these two cannot hold the long name
            inside = "short"
            (tmp_path / inside).mkdir(exist_ok=True)
            for name, content in pairs(3):
                (tmp_path / inside / name).write_bytes(content)
        command = ["tar", f"--format={format}", "--sort=name", "-cf", f"{format}.tar", inside]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
        source = open_source(tmp_path / f"{format}.tar")
        assert contents(source) == wanted(range(3)) and source.notes == []


# What is damaged loses only itself


@pytest.fixture
def sound(tmp_path):
    return write_tar(tmp_path / "sound.tar", pairs(12))


def test_a_cut_at_any_byte_keeps_the_whole_samples_before_it_and_says_so(tmp_path, sound):
    data = sound.read_bytes()
    with tarfile.open(sound) as tar:
        ends = [member.offset_data + member.size for member in tar if member.name.endswith(".txt")]
        last = tar.getmembers()[-1]
    path = tmp_path / "cut.tar"
    end_marker = last.offset_data + 512
    for cut in [0, 1, 511, 512, 600, 1024, *range(1024, end_marker, 373), *ends, end_marker]:
        path.write_bytes(data[:cut])
        whole = sum(end <= cut for end in ends)
        if not whole:
            with pytest.raises(DataError, match="no whole sample in 1 tar.*bytes can be read"):
                open_source(path)
            continue
        source = open_source(path)
        assert contents(source) == wanted(range(whole)) and f"its {whole} whole samples are used" in notes(source)
        assert len(list(source.faults())) == 1
    path.write_bytes(data[: end_marker + 512])
    assert contents(open_source(path)) == wanted(range(12)) and open_source(path).notes == []


def test_a_damaged_header_loses_what_follows_and_names_the_byte(sound):
    data = bytearray(sound.read_bytes())
    with tarfile.open(sound) as tar:
        hurt = tar.getmember("00007.jpg").offset
    data[hurt + 3] ^= 1
    sound.write_bytes(data)
    source = open_source(sound)
    assert contents(source) == wanted(range(7)) and f"the first {hurt:,} of {len(data):,} bytes" in notes(source)


def test_two_tars_in_one_file_are_noticed(tmp_path, sound):
    both = tmp_path / "both.tar"
    both.write_bytes(sound.read_bytes() * 2)
    source = open_source(both)
    assert contents(source) == wanted(range(12)) and "two tars in one" in notes(source)


def test_incomplete_and_repeated_samples_are_counted(tmp_path):
    members = [
        *pairs(2),
        ("00000.jpg", b"again"),
        ("lone.jpg", b"x"),
        ("gone.txt", b"x"),
        ("gone.json", b"{}"),
        ("cls.cls", b"3"),
        ("p.pyd", b"\x80\x04"),
        ("._00000.jpg", b"mac"),
        ("._00000.txt", b"mac"),
    ]
    source = open_source(write_tar(tmp_path / "x.tar", members))
    assert contents(source) == wanted(range(2))
    for words in (
        "repeat a part of their sample (1)",
        "without an image (1)",
        "images without a caption (1)",
        "no part of a sample (.pyd) (1)",
        "hidden members (2)",
        "lone.jpg",
        "gone.",
    ):
        assert words in notes(source)


# What is hostile is named, and nothing of it is done


def hostile_members():
    yield "names that lead out of the folder", info("../x.jpg"), b"x"
    yield "names that lead out of the folder", info("a/../../x.jpg"), b"x"
    yield "names that lead out of the folder", info("/etc/x.jpg"), b"x"
    yield "names that lead out of the folder", info("C:\\x.jpg"), b"x"
    yield "names that lead out of the folder", info("..\\x.jpg"), b"x"
    yield "links", info("l.jpg", type=tarfile.SYMTYPE, linkname="/etc/passwd"), b""
    yield "links", info("l.txt", type=tarfile.LNKTYPE, linkname="../../outside"), b""
    yield "pipes", info("p.jpg", type=tarfile.FIFOTYPE), b""
    yield "devices", info("d.jpg", type=tarfile.CHRTYPE, devmajor=1, devminor=3), b""
    yield "devices", info("d.txt", type=tarfile.BLKTYPE), b""
    yield "sparse members", info("s.jpg", type=tarfile.GNUTYPE_SPARSE), b"x"
    yield "sparse members", info("s.jpg", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}), b"x"
    yield "members of an unknown kind", info("u.jpg", type=b"V"), b"x"
    yield "members over the limit of 64 MiB for image files", info("huge.jpg"), bytes((64 << 20) + 1)
    yield "members over the limit of 1 MiB for text files", info("huge.txt"), bytes((1 << 20) + 1)
    yield "members without a usable name", info("n" * 5000 + ".jpg"), b"x"
    yield "members with oversized headers", info("b.jpg", pax_headers={"comment": "A" * 100_000}), b"x"


@pytest.mark.parametrize(
    "fault, about, content", list(hostile_members()), ids=lambda value: getattr(value, "name", "")[:20]
)
def test_a_hostile_member_is_counted_by_name_and_the_others_stay(tmp_path, fault, about, content):
    members = [*pairs(2), (about, content), *pairs(2, start=2)]
    source = open_source(write_tar(tmp_path / "x.tar", members, "pax" if about.pax_headers else "gnu"))
    assert contents(source) == wanted(range(4))
    assert f"{fault} (1)" in notes(source) and about.name[:50] in notes(source)
    assert sorted(os.listdir(tmp_path)) == ["x.tar", "x.tar.index"]


def raw_header(name, size, kind=b"0"):
    return info(name, size, type=kind).tobuf(tarfile.GNU_FORMAT)


def test_a_declared_size_beyond_the_file_is_a_cut(tmp_path):
    path = write_tar(tmp_path / "x.tar", pairs(2))
    body = path.read_bytes()[: 2 * (512 + 512 + 512 + 512)]
    path.write_bytes(body + raw_header("bomb.jpg", 1 << 60))
    source = open_source(path)
    assert contents(source) == wanted(range(2)) and "bomb.jpg declares 1,152,921,504,606,846,976 bytes" in notes(source)


def test_an_endless_chain_of_headers_is_one_refused_member(tmp_path):
    path = write_tar(tmp_path / "x.tar", pairs(2))
    body = path.read_bytes()[: 2 * (512 + 512 + 512 + 512)]
    record = b"14 path=zzzzz\n"
    link = raw_header("x", len(record), b"x") + record.ljust(512, b"\0")
    tail = write_tar(tmp_path / "y.tar", pairs(1, start=2)).read_bytes()
    path.write_bytes(body + link * 5000 + raw_header("end.jpg", 0) + tail)
    source = open_source(path)
    assert contents(source) == wanted(range(3)) and "members with oversized headers (1)" in notes(source)
    path.write_bytes(body + link * 5000)
    assert contents(open_source(path)) == wanted(range(2)) and "without an end marker" in notes(open_source(path))


@pytest.mark.parametrize(
    "record", [b"9 path=\n", b"999999 path=x\n", b"path=x\n", b"5 =\n", b"0 path=x\n", b"12 path=xxxx"]
)
def test_malformed_pax_records_refuse_their_member(tmp_path, record):
    body = raw_header("x", len(record), b"x") + record.ljust(512, b"\0") + raw_header("m.jpg", 0)
    tail = write_tar(tmp_path / "y.tar", pairs(1)).read_bytes()
    (tmp_path / "x.tar").write_bytes(body + tail)
    source = open_source(tmp_path / "x.tar")
    assert contents(source) == wanted(range(1)) and source.notes


@pytest.mark.parametrize("record", [b"11 size=-1\n", b"12 size=1e9\n", b"27 size=99999999999999999999\n"[:27]])
def test_a_pax_size_that_is_none_ends_the_walk(tmp_path, record):
    body = write_tar(tmp_path / "y.tar", pairs(1)).read_bytes()[: 4 * 512]
    bad = raw_header("x", len(record), b"x") + record.ljust(512, b"\0") + raw_header("m.jpg", 0)
    (tmp_path / "x.tar").write_bytes(body + bad + bytes(1024))
    source = open_source(tmp_path / "x.tar")
    assert contents(source) == wanted(range(1)) and source.notes


@given(st.data())
def test_no_change_of_bytes_breaks_a_reader(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    body = bytearray(write_tar(folder / "x.tar", pairs(3), data.draw(st.sampled_from(list(FORMATS)))).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))
    (folder / "x.tar").write_bytes(body)
    try:
        source = open_source(folder / "x.tar")
    except DataError as error:
        assert "\n" not in str(error)
        return
    assert len(list(source.samples(on_error="skip"))) <= 3
    assert all(isinstance(source.where(index), str) for index in range(len(source)))


@pytest.mark.parametrize(
    "name, body, words",
    [
        ("x.tar", b"", "first 0 of 0 bytes"),
        ("x.tar", bytes(10240), "no image has"),
        ("x.tar", b"hello" * 200, "does not begin as a tar"),
        ("x.tar", b"\x1f\x8b\x08" + bytes(600), "gunzip"),
        ("x.tar", b"PK\x03\x04" + bytes(600), "ZIP"),
        ("x.tar.gz", b"\x1f\x8b\x08", "gunzip"),
        ("x.tgz", b"\x1f\x8b\x08", "gunzip"),
    ],
)
def test_what_is_no_tar_is_one_sentence(tmp_path, name, body, words):
    (tmp_path / name).write_bytes(body)
    with pytest.raises(DataError) as caught:
        open_source(tmp_path / name)
    assert words in str(caught.value) and "\n" not in str(caught.value) and name in str(caught.value)


def test_a_pipe_named_as_a_tar_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "x.tar")
    code = "import sys; from ernie_vil2.data.sources.open import open_source; open_source(sys.argv[1])"
    root = Path(__file__).resolve().parent.parent.parent
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.tar")], timeout=60, capture_output=True, text=True, cwd=root
    )
    assert "not a regular file" in run.stderr
