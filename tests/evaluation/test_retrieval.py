"""Reading embeddings, running a model over a source, and the evaluation tool."""

import json
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from ernie_vil2.cli.eval import main as tool
from ernie_vil2.errors import DataError
from ernie_vil2.evaluation.embeddings import read_embeddings
from ernie_vil2.evaluation.encoding import encode_source
from ernie_vil2.evaluation.metrics.ranks import retrieval_metrics
from ernie_vil2.evaluation.retrieval import evaluate
from tests.conftest import ROOT


def problem(num_images=30, num_texts=75, width=12, seed=0):
    """Unit rows and the image row of each text."""
    rng = np.random.default_rng(seed)
    more = rng.integers(0, num_images, num_texts - num_images)
    owner = rng.permutation(np.concatenate([np.arange(num_images), more]))
    images = rng.standard_normal((num_images, width)).astype(np.float32)
    texts = images[owner] + rng.standard_normal((num_texts, width)).astype(np.float32)
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    return images, texts / np.linalg.norm(texts, axis=1, keepdims=True), owner


def write_directory(folder, images, texts, owner):
    folder.mkdir(exist_ok=True)
    names = [f"图 {row:03d}.jpg" for row in range(len(images))]
    np.save(folder / "text_keys.npy", np.arange(len(texts)))
    np.save(folder / "image.npy", images)
    np.save(folder / "text.npy", texts)
    (folder / "image_ids.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    (folder / "text_ids.txt").write_text("".join(f"{names[row]}\n" for row in owner), encoding="utf-8")
    return folder


def write_release(path, images, texts):
    """The release's format: shortest digits of every float32, separated by blanks."""
    lines = (
        "\t".join([*(" ".join(str(value) for value in row) for row in pair), "1"])
        for pair in zip(texts, images, strict=True)
    )
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def test_directory_and_text_file_give_the_same_figures(tmp_path):
    images, texts, owner = problem()
    folder = write_directory(tmp_path / "out", images, texts, owner)
    file = write_release(tmp_path / "out.txt", images[owner], texts)
    ids = tmp_path / "ids.txt"
    ids.write_text("".join(f"{row}\n" for row in owner))
    first, second = evaluate(read_embeddings(folder)), evaluate(read_embeddings(file, ids))
    assert first == second
    assert first["standard"]["num_images"] == 30 and first["official"]["num_images"] == 75
    assert first["standard"]["i2t_r1"] != first["official"]["i2t_r1"]


def test_official_takes_the_image_vector_of_the_own_line(tmp_path):
    """Rows of one image may differ in rounding; here they differ grossly, to see which one is used."""
    images, texts, owner = problem()
    rows = images[owner] + np.random.default_rng(1).standard_normal((75, 12)).astype(np.float32)
    file, ids = write_release(tmp_path / "out.txt", rows, texts), tmp_path / "ids.txt"
    ids.write_text("".join(f"{row}\n" for row in owner))
    wanted = retrieval_metrics(rows, texts, protocol="official")
    assert evaluate(read_embeddings(file, ids), "official")["official"] == wanted
    assert evaluate(read_embeddings(file), "official")["official"] == wanted


def test_text_file_without_ids_pairs_rows_and_warns(tmp_path):
    images, texts, owner = problem()
    embeddings = read_embeddings(write_release(tmp_path / "out.txt", images[owner], texts))
    assert "45 rows repeat" in embeddings.notes[0]
    assert np.array_equal(embeddings.image, images[owner]) and np.array_equal(embeddings.text, texts)
    assert evaluate(embeddings, "standard")["standard"]["num_images"] == 75


def test_a_collapsed_text_file_is_not_taken_for_one_image(tmp_path):
    rows = np.full((20, 4), 0.5, np.float32)
    results = evaluate(read_embeddings(write_release(tmp_path / "out.txt", rows, rows)))
    assert results["official"]["mean_recall"] == 100.0
    assert results["standard"]["mean_recall"] == 0.0


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "is empty"),
        (b"1 2\t1 2\n", "line 1: 2 fields"),
        (b"1 2\t1 2\t1\n1 x\t1 2\t1\n", "line 2: the text vector holds something else than numbers"),
        (b"1 2\t1 2\t1\n1 2\t1\t1\n", "line 2: the image vector has 1 numbers, line 1 has 2"),
        (b"\t1 2\t1\n", "line 1: the text vector has 0 numbers"),
        (b"\xff\xc0\x00\t\x00\t1\n", "line 1: the text vector holds"),
        (b"\xff\xfe\x00\t\x00\t1\n", "is UTF-16 text; save it as UTF-8"),
        (b"1 2\t1 2 3\t1\n", "image_embeds are 3 wide but text_embeds 2"),
        (b"1 2\t1 2\t1\n1 nan\t1 2\t1\n", "text_embeds has 1 of 2 rows that are not finite, the first is row 1"),
    ],
)
def test_broken_text_file(tmp_path, content, words):
    path = tmp_path / "out.txt"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        evaluate(read_embeddings(path))
    assert words in str(caught.value) and "\n" not in str(caught.value)


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def swap_ids(path):
    path.write_text(path.read_text(encoding="utf-8").replace("图 003.jpg", "图 999.jpg"), encoding="utf-8")


@pytest.mark.parametrize(
    "name, damage, words",
    [
        ("text_ids.txt", lambda path: path.unlink(), "lacks text_ids.txt"),
        ("image.npy", cut, "image.npy is not a plain NumPy array"),
        ("image.npy", lambda path: np.save(path, np.array([{}], object), allow_pickle=True), "not a plain NumPy array"),
        ("image.npy", lambda path: np.save(path, np.zeros((29, 12), np.float32)), "[29, 12] but image_ids.txt has 30"),
        ("text_ids.txt", cut, "text_ids.txt has"),
        ("text_ids.txt", lambda path: path.write_bytes(b"a\n\xff"), "text_ids.txt:2: the file is not UTF-8"),
        ("image_ids.txt", swap_ids, "image '图 003.jpg' is not in image_ids.txt"),
        ("image_ids.txt", lambda path: path.write_text("a\n" * 30), "names image 'a' twice"),
    ],
)
def test_broken_directory(tmp_path, name, damage, words):
    folder = write_directory(tmp_path / "out", *problem())
    damage(folder / name)
    with pytest.raises(DataError) as caught:
        read_embeddings(folder)
    assert words in str(caught.value)


def test_wrong_paths(tmp_path):
    with pytest.raises(DataError, match="no embeddings at"):
        read_embeddings(tmp_path / "nothing")
    folder = write_directory(tmp_path / "out", *problem())
    with pytest.raises(DataError, match="give the directory"):
        read_embeddings(folder / "image.npy")
    with pytest.raises(DataError, match="leave out the ids"):
        read_embeddings(folder, folder / "image_ids.txt")


@dataclass
class Row:
    id: str
    image: np.ndarray
    texts: tuple
    where: str


class Lookup:
    """Stands in for a model: an image is its vector, a text is the JSON of its vector; NaN is a broken image."""

    def __init__(self):
        self.encoded = 0

    def encode_image(self, images, on_error):
        assert on_error == "skip"
        self.encoded += len(images)
        broken = [(position, "not an image") for position, image in enumerate(images) if np.isnan(image).any()]
        return np.stack(images), broken

    def encode_text(self, texts, on_error):
        return np.array([json.loads(text) for text in texts], np.float32), []


class Rows(list):
    """A source; None stands for a line that cannot be read."""

    def __getitem__(self, index):
        if super().__getitem__(index) is None:
            raise DataError(f"rows:{index + 1}: not a sample; remove the line")
        return super().__getitem__(index)


def source_of(images, texts, owner):
    """A line per text, so that images come back under one id, in a shuffled order."""
    return Rows(
        Row(f"id{row}", images[row], (json.dumps(text.tolist()),), f"rows:{index + 1}")
        for index, (text, row) in enumerate(zip(texts, owner, strict=True))
    )


@pytest.mark.parametrize("window", [1, 7, 1000])
def test_source_equals_directory(tmp_path, window):
    images, texts, owner = problem()
    model, seen = Lookup(), []
    got = encode_source(
        model, source_of(images, texts, owner), window=window, progress=lambda done, total: seen.append((done, total))
    )
    assert model.encoded == len(images)
    assert seen[-1] == (75, 75)
    wanted = evaluate(read_embeddings(write_directory(tmp_path / "out", images, texts, owner)))
    for name, values in evaluate(got).items():
        assert values == pytest.approx(wanted[name], rel=1e-12)


def test_several_captions_per_sample():
    images, texts, _ = problem(2, 4)
    rows = Rows(
        [
            Row("a", images[0], tuple(json.dumps(text.tolist()) for text in texts[:3]), "rows:1"),
            Row("b", images[1], (json.dumps(texts[3].tolist()),), "rows:2"),
        ]
    )
    assert encode_source(Lookup(), rows).text_image.tolist() == [0, 0, 0, 1]


def test_broken_samples_are_named_or_skipped_with_their_texts():
    images, texts, owner = problem()
    rows = source_of(images, texts, owner)
    broken = owner[5]
    for row in rows:
        if row.id == f"id{broken}":
            row.image = images[broken] * np.nan
    with pytest.raises(DataError, match=r"rows:\d+: not an image"):
        encode_source(Lookup(), rows)
    got = encode_source(Lookup(), rows, skip_broken=True, window=4)
    keep = owner != broken
    assert len(got.image) == 29 and np.array_equal(got.text, texts[keep])
    assert np.array_equal(got.image[got.text_image], images[owner[keep]])
    assert "not an image" in got.notes[0]
    list.__setitem__(rows, 1, None)
    with pytest.raises(DataError, match="rows:2: not a sample"):
        encode_source(Lookup(), rows)
    assert "rows:2" in encode_source(Lookup(), rows, skip_broken=True).notes[0]
    with pytest.raises(DataError, match="no usable pair"):
        encode_source(Lookup(), Rows([None]), skip_broken=True)


def test_equal_texts_are_known_by_their_keys_where_there_are_some(tmp_path):
    """30 photos of a shop that share 3 captions, perfectly encoded."""
    perfect = np.eye(3, dtype=np.float32)[np.arange(30) % 3]
    folder = write_directory(tmp_path / "out", perfect, perfect, np.arange(30))
    (folder / "text_keys.npy").unlink()
    old = read_embeddings(folder)
    assert evaluate(old)["standard"]["i2t_r1"] == 0 and "has no text_keys.npy" in old.notes[0]
    np.save(folder / "text_keys.npy", np.arange(30) % 3)
    new = read_embeddings(folder)
    assert evaluate(new)["standard"]["mean_recall"] == evaluate(new)["official"]["mean_recall"] == 100
    assert new.notes == (
        "27 of 30 texts repeat an earlier one; `standard` counts every equal text as right, `official` only the one of "
        "its row",
    )
    rows = [Row(f"{row}", vector, (json.dumps(vector.tolist()),), f"rows:{row}") for row, vector in enumerate(perfect)]
    got = encode_source(Lookup(), Rows(rows))
    assert got.notes == new.notes and evaluate(got) == evaluate(new)
    lines = read_embeddings(write_release(tmp_path / "out.txt", perfect, perfect))
    assert "27 rows repeat another row's text vector" in lines.notes[-1]


@pytest.mark.parametrize("content", [np.arange(5), np.arange(75.0), None])
def test_keys_that_do_not_belong_to_the_texts_are_refused(tmp_path, content):
    folder = write_directory(tmp_path / "out", *problem())
    (folder / "text_keys.npy").write_bytes(b"no array") if content is None else np.save(
        folder / "text_keys.npy", content
    )
    with pytest.raises(DataError, match="text_keys.npy .*encode again"):
        read_embeddings(folder)


def test_tool_prints_a_table_and_writes_json(tmp_path, capsys):
    images, texts, owner = problem()
    file = write_release(tmp_path / "out.txt", images[owner], texts)
    out = tmp_path / "figures.json"
    assert not tool.main(["--embeddings", str(file), "--json", str(out)])
    printed, figures = capsys.readouterr().out, json.loads(out.read_text(encoding="utf-8"))
    wanted = evaluate(read_embeddings(file))
    assert figures["protocols"] == wanted
    for name in ("official", "standard"):
        line = next(line for line in printed.split(f"{name} protocol")[1].splitlines() if "Image2Text" in line)
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[1:5] == [
            "%.2f" % round(np.float64(wanted[name][f"i2t_{key}"]), 2) for key in ("r1", "r5", "r10", "mean")
        ]
    assert "note: 45 rows repeat" in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures.json", "out.txt"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--model", "m"],
        ["--embeddings", "e", "--input", "x"],
        ["--embeddings", "e", "--protocol", "5k"],
        ["--model", "m", "--input", "x", "--ids", "i"],
    ],
)
def test_tool_usage_errors(arguments):
    with pytest.raises(SystemExit) as caught:
        tool.main(arguments)
    assert caught.value.code == 2


def test_tool_reports_one_line(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "tools.eval", "--embeddings", str(tmp_path / "nothing")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert run.returncode == 1
    assert run.stderr.startswith("error: no embeddings at") and run.stderr.count("\n") == 1
