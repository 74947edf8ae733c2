"""The encode tool as a user meets it: real sources and a real model, a kill, errors of one sentence, memory."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import ernie_vil2
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.cli.main import main as cli
from tests.conftest import ROOT

CAPTIONS = ("一只猫", "红的圆", "the cat on left", "大的狗在右", "a dog", "绿方形")


@pytest.fixture
def model(tiny_config, tiny_vocab, tmp_path):
    """Path of a model directory."""
    rng = np.random.default_rng(0)
    state = {key: rng.normal(0, 0.3, shape).astype(np.float32) for key, shape in manifest(tiny_config).items()}
    save_model(tmp_path / "model", state, tiny_config, tiny_vocab)
    return tmp_path / "model"


@pytest.fixture
def rows(random_image, image_bytes):
    """Function (count) -> rows (text, id, bytes) of count // 2 images."""

    def build(count):
        photos = [image_bytes(random_image(30, 40, seed), "JPEG") for seed in range(min(count, 20))]
        return [
            (CAPTIONS[index % len(CAPTIONS)], f"图{index // 2}", photos[index // 2 % len(photos)])
            for index in range(count)
        ]

    return build


@pytest.fixture
def tsv(tmp_path, rows):
    """Function (count, name="rows.tsv", bad={row: line}) -> path of a file in the release's format."""

    def write(count, name="rows.tsv", bad=()):
        lines = [f"{text}\t{key}\t{base64.b64encode(data).decode()}" for text, key, data in rows(count)]
        for index, line in dict(bad).items():
            lines[index] = line
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def encode(capsys, *arguments):
    """(status, stdout, stderr) of the command."""
    with pytest.raises(SystemExit) as leaving:
        cli(["encode", *map(str, arguments)])
    out, err = capsys.readouterr()
    return leaving.value.code or 0, out, err


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_arrays_are_what_the_model_gives(capsys, model, tsv, rows, tmp_path):
    status, out, err = encode(capsys, "--model", model, "--input", tsv(30), "--output", tmp_path / "out")
    assert (status, "30 rows of" in err, "\r" in err) == (0, True, False)
    assert out == f"wrote {tmp_path / 'out'}: 15 images and 30 texts of 30 rows\n"
    loaded = ernie_vil2.load(model)
    texts, keys, photos = zip(*rows(30), strict=True)
    np.testing.assert_allclose(np.load(tmp_path / "out" / "text.npy"), loaded.encode_text(texts), atol=1e-5)
    np.testing.assert_allclose(np.load(tmp_path / "out" / "image.npy"), loaded.encode_image(photos[::2]), atol=1e-5)
    assert (tmp_path / "out" / "text_ids.txt").read_text(encoding="utf-8").split() == list(keys)
    assert (tmp_path / "out" / "image_ids.txt").read_text(encoding="utf-8").split() == list(keys[::2])


def test_release_lines_and_bad_rows(capsys, model, tsv, rows, tmp_path):
    bad = {3: "no tabs", 6: "猫\t图3\t!!!!", 9: "狗\t图9\t" + base64.b64encode(b"no image").decode()}
    out = tmp_path / "out.tsv"
    status, text, _ = encode(
        capsys, "--model", model, "--input", tsv(12, bad=bad), "--output", out, "--format", "release", "--batch-size", 3
    )
    assert status == 0 and text == (
        f"wrote {out}: 9 texts of 12 rows; 3 bad rows were left out, see {out}.bad.jsonl\n"
        "bad rows by cause: 1 bad base64, 1 not an image, 1 wrong number of columns\n"
    )
    listed = [json.loads(line) for line in Path(f"{out}.bad.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["line"] for row in listed] == [4, 7, 10]
    assert all(row["reason"] and row["fix"] and row["where"].endswith(f"rows.tsv:{row['line']}") for row in listed)
    good = [row for index, row in enumerate(rows(12)) if index not in bad]
    loaded = ernie_vil2.load(model)
    columns = [line.split("\t") for line in out.read_text().splitlines()]
    wanted = loaded.encode_text([row[0] for row in good]), loaded.encode_image([row[2] for row in good])
    for column, vectors in enumerate(wanted):
        found = np.array([line[column].split(" ") for line in columns], np.float32)
        np.testing.assert_allclose(found, vectors, atol=1e-5)
    assert {line[2] for line in columns} == {"1"}


def test_a_bad_row_may_stop_it(capsys, model, tsv, tmp_path):
    status, _, err = encode(
        capsys,
        "--model",
        model,
        "--input",
        tsv(6, bad={4: "no tabs"}),
        "--output",
        tmp_path / "out",
        "--on-bad",
        "stop",
    )
    assert status == 1 and "error: " in err and "rows.tsv:5: " in err and not (tmp_path / "out").exists()


def test_photos_with_captions_from_json_lines(capsys, model, random_image, image_bytes, tmp_path):
    lines = []
    for seed in range(3):
        (tmp_path / f"photo{seed}.png").write_bytes(image_bytes(random_image(50, 40, seed)))
        lines.append(json.dumps({"image": f"photo{seed}.png", "texts": ["a cat", "红猫"]}))
    (tmp_path / "mine.jsonl").write_text("\n".join(lines))
    status, out, _ = encode(capsys, "--model", model, "--input", tmp_path / "mine.jsonl", "--output", tmp_path / "out")
    assert status == 0 and "3 images and 6 texts of 3 rows" in out
    assert (tmp_path / "out" / "image_ids.txt").read_text() == "photo0.png\nphoto1.png\nphoto2.png\n"


def test_a_damaged_picture_is_counted_under_its_cause_or_kept(capsys, model, random_image, image_bytes, tmp_path):
    good = image_bytes(random_image(150, 200), "JPEG")
    files = good, good[: len(good) // 2] + good[len(good) // 2 + len(good) // 20 :]
    lines = [json.dumps({"image": f"{number}.jpg", "text": "a cat"}) for number in range(2)]
    for number, data in enumerate(files):
        (tmp_path / f"{number}.jpg").write_bytes(data)
    (tmp_path / "mine.jsonl").write_text("\n".join(lines))
    given = ("--model", model, "--input", tmp_path / "mine.jsonl", "--output")
    status, out, _ = encode(capsys, *given, tmp_path / "out")
    assert status == 0 and "1 image and 1 text of 2 rows; 1 bad row" in out
    assert "bad rows by cause: 1 damaged image\n" in out
    assert json.loads((tmp_path / "out/bad.jsonl").read_text())["cause"] == "damaged image"
    status, out, _ = encode(capsys, *given, tmp_path / "kept", "--damaged", "keep")
    assert status == 0 and "2 images and 2 texts of 2 rows\n" in out
    status, _, err = encode(capsys, *given, tmp_path / "kept")
    assert status == 1 and "was written with another damaged" in err


def arguments(model, source, out):
    return ["--model", str(model), "--input", str(source), "--output", str(out)]


def test_killed_and_repeated_it_gives_the_same_bytes(capsys, model, tsv, tmp_path):
    source = tsv(900)
    (tmp_path / "straight").mkdir()
    assert encode(capsys, "--model", model, "--input", source, "--output", tmp_path / "straight" / "out")[0] == 0
    folder = tmp_path / "killed"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.encode", *arguments(model, source, folder / "out")],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    try:
        part = folder / "out.partial" / "text_ids.txt"
        while process.poll() is None and not (part.exists() and part.stat().st_size):
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    status, _, err = encode(capsys, "--model", model, "--input", tsv(6, "other.tsv"), "--output", folder / "out")
    assert status == 1 and "another input" in err
    assert encode(capsys, "--model", model, "--input", source, "--output", folder / "out")[0] == 0
    assert files(folder) == files(tmp_path / "straight")


# Not ru_maxrss, which a process inherits from the one that started it.
PEAK = """
import sys
from ernie_vil2.cli.encode import main
main(sys.argv[1:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize("form", ["npy", "release"])
def test_memory_is_flat_in_the_rows(model, tsv, tmp_path, form):
    peaks = []
    for count in (600, 3000):
        job = arguments(model, tsv(count, f"{count}.tsv"), tmp_path / f"{count}")
        done = subprocess.run(
            [sys.executable, "-c", PEAK, *job, "--format", form],
            cwd=ROOT,
            capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout.splitlines()[-1]))
    assert peaks[1] < 1.05 * peaks[0]


def test_mistakes_are_one_sentence(capsys, model, tsv, tmp_path):
    (tmp_path / "empty.tsv").touch()
    (tmp_path / "bad.tsv").write_text("nothing\nof use\n")
    (tmp_path / "evil.pdparams").write_bytes(b"cos\nsystem\n(S'touch hacked'\ntR.")
    source = tsv(4)
    out = tmp_path / "out"
    empty, bad = tmp_path / "empty.tsv", tmp_path / "bad.tsv"
    for weights, rows in (
        (model, empty),
        (model, bad),
        (model, tmp_path / "none.tsv"),
        (tmp_path / "evil.pdparams", source),
        (tmp_path / "none", source),
    ):
        status, text, err = encode(capsys, *arguments(weights, rows, out))
        assert (status, text) == (1, "") and err.splitlines()[-1].startswith("error: ") and "Traceback" not in err
    (tmp_path / "file").write_text("in the way")
    status, _, err = encode(capsys, *arguments(model, source, tmp_path / "file" / "out"))
    assert status == 1 and "error: cannot write" in err
    status, _, err = encode(capsys, "--modle", model, "--input", source, "--output", tmp_path / "out")
    assert status == 2 and "ernie-vil2 encode --help" in err
    assert not out.exists() and not (tmp_path / "out.partial").exists()
