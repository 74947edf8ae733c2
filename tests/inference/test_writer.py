"""Properties of writing embeddings: the formats, bad rows, and the same bytes after a kill at any moment."""

import hashlib
import json
import sqlite3
import tracemalloc

import numpy as np
import pytest

from ernie_vil2.data.sources.base import RowError, Sample, Source
from ernie_vil2.errors import CheckpointError, ConfigError, DataError
from ernie_vil2.inference import journal, writer
from ernie_vil2.inference.identity import describe
from ernie_vil2.inference.writer import encode_source, line_of
from ernie_vil2.keys import stable_hash

DIM = 6
IDENTITY = {"model": "m", "input": "i"}


class Killed(BaseException):
    """Stands for a SIGKILL: nothing that catches errors may catch it."""


class Model:
    """Embeddings that depend on the item alone; texts with '?' and images b'broken' cannot be encoded."""

    embed_dim = DIM

    def __init__(self):
        self.encoded = []

    def encode_text(self, texts, *, batch_size, on_error):
        return self.encode([text.encode() for text in texts], b"?")

    def encode_image(self, images, *, batch_size, on_error):
        self.encoded.extend(images)
        return self.encode(images, b"broken")

    @staticmethod
    def encode(items, bad):
        failures = [(index, "it is broken; mend it") for index, item in enumerate(items) if bad in item]
        return np.stack([vector(item) for item in items]) if items else np.zeros((0, DIM), np.float32), failures


def vector(item):
    return (np.frombuffer(hashlib.sha256(item).digest()[:DIM], np.uint8) / 255 - 0.5).astype(np.float32)


class Rows(Source):
    """Rows (id, image, texts, boxes or nothing); a row that is None is bad."""

    name = "rows.tsv"

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def load(self, index):
        if self.rows[index] is None:
            raise RowError(self.where(index), "bad id", "the row is bad", "mend the row")
        key, image, texts, *boxes = self.rows[index]
        return Sample(key, image, texts, (), self.where(index), *boxes)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(writer, "CHUNK", 4)


@pytest.fixture
def rows():
    """23 rows of 9 images, some with two texts, four of them bad."""
    rows = [
        (f"图{index % 9}", b"image %d" % (index % 9), tuple(f"{index}-{n}" for n in range(1 + index % 2)))
        for index in range(23)
    ]
    rows[2] = None
    rows[5] = ("图5", b"broken", ("a",))
    rows[11] = ("图2", b"broken", ("b",))
    rows[13] = ("line\nbreak", b"image", ("c",))
    rows[17] = ("图8", b"image 8", ("?", "d"))
    return rows


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def without_journal(content):
    return {name: data for name, data in content.items() if "sqlite" not in name}


def run(rows, out, model=None, **options):
    return encode_source(model or Model(), Rows(rows), out, IDENTITY, **options)


@pytest.mark.parametrize(
    "where, line", [("a.tsv:5", 5), ("表.csv:15 (row 14 of the sheet)", 15), ("a.tar/b:7.jpg", 3), ("photos", 3)]
)
def test_the_line_of_a_row_is_read_from_its_place(where, line):
    assert line_of(where, 2) == line


def test_arrays_hold_each_image_once_and_every_text(rows, tmp_path):
    record = run(rows, tmp_path / "out")
    # 图5 first shows in a broken row, 图2 only in row 20: row 2 is bad and row 11 broken.
    ids = ["图0", "图1", "图3", "图4", "图6", "图7", "图8", "图5", "图2"]
    good = [row for index, row in enumerate(rows) if index not in (2, 5, 11, 13, 17)]
    assert record == {
        **IDENTITY,
        "format": "npy",
        "only": None,
        "rows": 23,
        "images": 9,
        "bad rows": 5,
        "causes": {"bad id": 2, "broken image": 2, "unreadable row": 1},
        "texts": sum(len(texts) for _, _, texts in good),
    }
    assert sorted(files(tmp_path)) == sorted(
        "out/" + name
        for name in ("image.npy", "image_ids.txt", "text.npy", "text_ids.txt", "text_keys.npy", "bad.jsonl", "run.json")
    )
    out = tmp_path / "out"
    images, texts = np.load(out / "image.npy", mmap_mode="r"), np.load(out / "text.npy", mmap_mode="r")
    assert images.dtype == texts.dtype == np.float32
    assert (out / "image_ids.txt").read_text(encoding="utf-8").split("\n") == [*ids, ""]
    assert np.array_equal(images, np.stack([vector(b"image " + key[1:].encode()) for key in ids]))
    assert (out / "text_ids.txt").read_text(encoding="utf-8").split("\n") == [
        key for key, _, texts in good for _ in texts
    ] + [""]
    assert np.array_equal(texts, np.stack([vector(text.encode()) for _, _, row in good for text in row]))
    keys = np.load(out / "text_keys.npy")
    assert keys.dtype == np.int64 and keys.tolist() == [stable_hash(text) for _, _, row in good for text in row]
    bad = [json.loads(line) for line in (out / "bad.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["line"] for row in bad] == [3, 6, 12, 14, 18]
    assert bad[0] == {
        "line": 3,
        "where": "rows.tsv:3",
        "reason": "the row is bad",
        "fix": "mend the row",
        "cause": "bad id",
    }
    assert bad[1]["reason"] == "it is broken" and bad[1]["fix"] == "mend it"


def test_release_lines_are_one_per_text_of_a_good_row(rows, tmp_path):
    out = tmp_path / "out.tsv"
    run(rows, out, form="release")
    good = [row for index, row in enumerate(rows) if index not in (2, 5, 11, 13, 17)]
    wanted = [(vector(text.encode()), vector(image)) for _, image, texts in good for text in texts]
    lines = [line.split("\t") for line in out.read_text().splitlines()]
    assert len(lines) == len(wanted) and all(len(line) == 3 and line[2] == "1" for line in lines)
    for line, pair in zip(lines, wanted, strict=True):
        for column, numbers in zip(line, pair, strict=False):
            assert np.array_equal(np.array(column.split(" "), np.float32), numbers)
    assert sorted(files(tmp_path)) == ["out.tsv", "out.tsv.bad.jsonl", "out.tsv.run.json"]
    assert len((tmp_path / "out.tsv.bad.jsonl").read_text().splitlines()) == 5


@pytest.mark.parametrize("form", ["npy", "release"])
@pytest.mark.parametrize("apart", [1, 9])
def test_another_picture_under_an_id_is_a_bad_row_that_names_both(tmp_path, form, apart):
    """In the same chunk of four rows, and in a later one."""
    between = [(f"{row}", b"image %d" % row, ("t",)) for row in range(apart - 1)]
    rows = [("a", b"first", ("t",)), *between, ("a", b"second", ("u",)), ("a", b"first", ("v",))]
    record = run(rows, tmp_path / "out", form=form)
    assert record["bad rows"] == 1 and record["texts"] == len(rows) - 1
    side = tmp_path / "out" / "bad.jsonl" if form == "npy" else tmp_path / "out.bad.jsonl"
    bad = json.loads(side.read_text())
    assert bad["where"] == f"rows.tsv:{apart + 1}"
    assert bad["reason"] == "the id 'a' has another picture at rows.tsv:1" and "id of its own" in bad["fix"]


def test_a_copy_of_a_file_is_the_same_picture(tmp_path):
    for name, content in (("1", b"x"), ("2", b"x"), ("3", b"y")):
        (tmp_path / name).write_bytes(content)
    paths = [tmp_path / name for name in "112131"]
    model = Model()
    model.encode_image = lambda images, **more: (np.ones((len(images), DIM), np.float32), [])
    record = run([("a", path, (f"{row}",)) for row, path in enumerate(paths)], tmp_path / "out", model)
    assert (record["texts"], record["images"], record["bad rows"]) == (5, 1, 1)
    assert json.loads((tmp_path / "out" / "bad.jsonl").read_text())["where"] == "rows.tsv:5"


def test_an_output_begun_by_another_version_is_not_gone_on_with(rows, tmp_path):
    (tmp_path / "out.partial").mkdir()
    with sqlite3.connect(tmp_path / "out.partial" / journal.DATABASE) as base:
        base.execute("CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
        base.execute("INSERT INTO notes VALUES ('state', '{}')")
    base.close()
    with pytest.raises(DataError, match="another version; delete"):
        run(rows, tmp_path / "out")


def test_an_image_is_encoded_once(tmp_path):
    model = Model()
    run([(f"{index % 3}", b"image %d" % (index % 3), ("t",)) for index in range(20)], tmp_path / "out", model)
    assert sorted(model.encoded) == [b"image 0", b"image 1", b"image 2"]


def test_without_bad_rows_there_is_no_side_file(tmp_path):
    for form in ("npy", "release"):
        run([("a", b"image", ("t",))], tmp_path / form, form=form)
    assert not [name for name in files(tmp_path) if "bad" in name]


@pytest.mark.parametrize("form", ["npy", "release"])
@pytest.mark.parametrize("victim", ["write", "commit", "fsync", "publish", "replace"])
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(rows, tmp_path, monkeypatch, form, victim):
    run(rows, tmp_path / "straight" / "out", form=form)
    wanted = files(tmp_path / "straight")
    owner, name = {
        "write": (journal.Journal, "write"),
        "commit": (journal.Journal, "commit"),
        "fsync": (journal.os, "fsync"),
        "publish": (writer.FORMATS[form], "publish"),
        "replace": (journal.os, "replace"),
    }[victim]
    original = getattr(owner, name)
    for moment in range(200):
        left = [moment]

        def killed(*arguments, left=left, **options):
            left[0] -= 1
            if left[0] == -1:
                if victim == "write":
                    original(arguments[0], arguments[1], arguments[2][:3])
                raise Killed
            return original(*arguments, **options)

        folder = tmp_path / f"{moment}"
        monkeypatch.setattr(owner, name, killed)
        try:
            run(rows, folder / "out", form=form)
            assert moment > 0
            break
        except Killed:
            monkeypatch.setattr(owner, name, original)
            out = folder / "out"
            assert not out.exists() or without_journal(files(folder)) == wanted
            run(rows, out, form=form)
            assert files(folder) == wanted
            assert run(rows, out, form=form)["rows"] == 23
    else:
        pytest.fail("the run never ended by itself")


def test_what_was_encoded_before_a_kill_is_not_encoded_again(rows, tmp_path):
    class Mortal(Model):
        def encode_text(self, texts, **options):
            if any(text.startswith("14-") for text in texts):
                raise Killed
            return super().encode_text(texts, **options)

    with pytest.raises(Killed):
        run(rows, tmp_path / "out", Mortal())
    run(rows, tmp_path / "straight")
    for name in ("text.npy", "text_ids.txt", "bad.jsonl"):
        with open(tmp_path / "out.partial" / name, "ab") as handle:
            handle.write(b"a torn page" * 1000)
    model, seen = Model(), []
    run(rows, tmp_path / "out", model, progress=lambda *counts: seen.append(counts))
    assert b"image 0" not in model.encoded and seen[0] == (12, 23, 3) and seen[-1] == (23, 23, 5)
    assert files(tmp_path / "out") == files(tmp_path / "straight")


@pytest.mark.parametrize("form", ["npy", "release"])
def test_another_run_on_the_same_output_is_refused(rows, tmp_path, form):
    class Mortal(Model):
        def encode_image(self, images, **options):
            if b"image 6" in images:
                raise Killed
            return super().encode_image(images, **options)

    out = tmp_path / "out"
    with pytest.raises(Killed):
        run(rows, out, Mortal(), form=form)
    before = files(tmp_path)
    other = {"model": "other", "input": "i"}
    with pytest.raises(DataError, match="was begun with another model"):
        encode_source(Model(), Rows(rows), out, other, form=form)
    assert without_journal(files(tmp_path)) == without_journal(before)
    run(rows, out, form=form)
    whole = files(tmp_path)
    with pytest.raises(DataError, match="was written with another model"):
        encode_source(Model(), Rows(rows), out, other, form=form)
    with pytest.raises(DataError, match="was written with another command"):
        run(rows, out, form={"npy": "release", "release": "npy"}[form])
    assert files(tmp_path) == whole


def test_a_foreign_output_is_left_alone(rows, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    for form in ("npy", "release"):
        with pytest.raises(DataError, match="exists and was written with another command"):
            run(rows, tmp_path / "out", form=form)
    assert files(tmp_path) == {"out/mine.txt": b"mine"}


def test_an_empty_directory_may_be_the_output(rows, tmp_path):
    (tmp_path / "out").mkdir()
    assert run(rows, tmp_path / "out")["rows"] == 23 and (tmp_path / "out" / "image.npy").exists()


def test_two_processes_do_not_write_one_output(rows, tmp_path):
    (tmp_path / "out.partial").mkdir()
    other = sqlite3.connect(tmp_path / "out.partial" / journal.DATABASE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DataError, match="another process"):
        run(rows, tmp_path / "out")
    other.close()
    assert run(rows, tmp_path / "out")["rows"] == 23


def test_a_damaged_journal_is_one_sentence(rows, tmp_path):
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / journal.DATABASE).write_bytes(b"no database" * 1000)
    with pytest.raises(DataError, match="damaged; delete"):
        run(rows, tmp_path / "out")


def test_the_first_bad_row_may_stop_the_run(rows, tmp_path):
    with pytest.raises(DataError, match="rows.tsv:3: the row is bad; mend the row"):
        run(rows, tmp_path / "out", on_bad="stop")
    assert not (tmp_path / "out").exists()
    rows[2] = ("图2", b"image 2", ("mended",))
    with pytest.raises(DataError, match="rows.tsv:6: it is broken; mend it"):
        run(rows, tmp_path / "out", on_bad="stop")


@pytest.mark.parametrize("form", ["npy", "release"])
def test_only_bad_rows_are_an_error_and_leave_nothing(tmp_path, form):
    with pytest.raises(DataError, match="no row can be encoded.*the row is bad"):
        run([None, None], tmp_path / "out", form=form)
    assert files(tmp_path) == {}


@pytest.mark.parametrize("key", ["", "a\nb", "a\n", "a\r", "a\u2028b", "a\udc80"])
def test_an_id_that_does_not_fit_a_line_is_a_bad_row(tmp_path, key):
    assert run([("good", b"image", ("t",)), (key, b"image", ("t",))], tmp_path / "out")["bad rows"] == 1
    assert (tmp_path / "out" / "image_ids.txt").read_bytes() == b"good\n"
    json.loads((tmp_path / "out" / "bad.jsonl").read_text(encoding="utf-8"))


def test_wrong_options_are_refused(rows, tmp_path):
    for options in ({"form": "csv"}, {"on_bad": "ignore"}):
        with pytest.raises(ConfigError):
            run(rows, tmp_path / "out", **options)
    assert files(tmp_path) == {}


def test_memory_does_not_grow_with_the_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "CHUNK", 64)

    class Generated(Rows):
        def __init__(self, count):
            self.count = count

        def __len__(self):
            return self.count

        def load(self, index):
            return Sample(f"{index:012}", b"image %d" % index, (f"text {index}",), (), self.where(index))

    class Forgetful(Model):
        def encode_image(self, images, **options):
            return self.encode(images, b"broken")

    peaks = []
    for count in (1000, 1000, 10000):
        tracemalloc.start()
        encode_source(Forgetful(), Generated(count), tmp_path / f"{len(peaks)}", IDENTITY, form="npy")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.3 * peaks[1]


def test_the_identity_is_of_contents(tmp_path):
    def identity(rows, weights=b"weights", vocab=None):
        (tmp_path / "weights.pdparams").write_bytes(weights)
        return describe(tmp_path / "weights.pdparams", vocab, str(tmp_path / "none"), Rows(rows))

    rows = [(f"{index}", b"image", ("text",)) for index in range(50)]
    assert identity(rows) == identity(list(rows))
    assert identity(rows)["model"] != identity(rows, b"others")["model"]
    for change in (
        [*rows, None],
        rows[:-1] + [None],
        rows[:-1] + [("49", b"other", ("text",))],
        rows[:-1] + [("49", b"image", ("other",))],
        rows[:-1] + [("49", b"image", ("text",), [[0, 0, 5, 5]])],
    ):
        assert identity(change)["input"] != identity(rows)["input"]
        assert identity(change)["model"] == identity(rows)["model"]
    found, moved = ([*rows[:-1], ("49", b"image", ("text",), [[0, 0, 5, side]])] for side in (5, 6))
    assert identity(found) == identity(list(found)) != identity(moved)
    (tmp_path / "v.txt").write_text("v")
    assert identity(rows, vocab=tmp_path / "v.txt") != identity(rows)


@pytest.mark.parametrize("form", ["npy", "release"])
@pytest.mark.parametrize("on_bad", ["skip", "stop"])
@pytest.mark.parametrize("item, what", [(b"image 7", "image '图7'"), (b"7-1", "a text of '图7'")])
def test_a_model_that_gives_nan_is_no_bad_row(tmp_path, form, on_bad, item, what):
    class Broken(Model):
        @staticmethod
        def encode(items, bad):
            vectors, failures = Model.encode(items, bad)
            vectors[[position for position, found in enumerate(items) if found == item]] = np.nan
            vectors[[position for position, _ in failures]] = np.nan  # as the encoder marks what it could not read
            return vectors, failures

    rows = [(f"图{index}", b"image %d" % index, (f"{index}-0", f"{index}-1")) for index in range(9)]
    if on_bad == "skip":
        rows[6] = ("图6", b"broken", ("?",))
    with pytest.raises(CheckpointError, match=f"embeddings are not finite: the first is that of {what}, which"):
        run(rows, tmp_path / "out", Broken(), form=form, on_bad=on_bad)
    assert not (tmp_path / "out").exists()


def test_the_first_id_of_what_is_not_finite_is_named(tmp_path):
    """Though all texts of a chunk are encoded before its images."""
    model = Model()
    model.encode_text = lambda texts, **more: (np.array([[np.nan if "3" in text else 1.0] * DIM for text in texts]), [])
    model.encode_image = lambda images, **more: (np.array([[np.nan if b"1" in x else 1.0] * DIM for x in images]), [])
    with pytest.raises(CheckpointError, match="the first is that of image '图1'"):
        run([(f"图{index}", b"image %d" % index, (str(index),)) for index in range(4)], tmp_path / "out", model)


def test_after_a_model_that_gives_nan_from_the_start_another_one_can_write(tmp_path):
    rows = [("图", b"image", ("a",))]
    broken = Model()
    broken.encode_text = lambda texts, **more: (np.full((len(texts), DIM), np.nan, np.float32), [])
    with pytest.raises(CheckpointError, match="not finite"):
        run(rows, tmp_path / "out", broken)
    assert not list(tmp_path.iterdir())
    assert encode_source(Model(), Rows(rows), tmp_path / "out", {"model": "another"})["texts"] == 1
