"""tools/data.py: exit status, report and shards, and one sentence for what cannot be done."""

import base64
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from ernie_vil2.cli.data.main import main
from ernie_vil2.errors import run_tool
from tests.conftest import ROOT


@pytest.fixture
def sound(tmp_path, random_image, image_bytes):
    """A TSV of three captions on two images."""
    images = [base64.b64encode(image_bytes(random_image(40, 60, seed))).decode() for seed in (0, 0, 1)]
    path = tmp_path / "sound.tsv"
    path.write_text("".join(f"红猫{i}\timage{i // 2}\t{image}\n" for i, image in enumerate(images)), encoding="utf-8")
    return path


def test_a_sound_file_passes(sound, tiny_vocab, capsys):
    assert main(["check", str(sound), "--vocab", str(tiny_vocab)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{sound}: 3 rows") and "3 good, 0 bad" in out and "2 ids, 2 distinct contents" in out
    assert "0 texts (0.00 %) have over 48 tokens" in out and "tokens           min 5" in out
    assert err == ""


def test_bad_rows_fail_and_are_all_in_the_json(sound, tmp_path, capsys):
    with open(sound, "a", encoding="utf-8") as handle:
        handle.write("x\t1\n" * 30 + "x\t1\tAAAA\n")
    assert main(["check", str(sound), "--json", str(tmp_path / "out.json")]) == 1
    out = capsys.readouterr().out
    assert "30  wrong number of columns" in out and "1  not an image" in out and "and 11 more" in out
    assert out.count(f"\n{sound}:") == 20 and f"{sound}:4: the line has 2 columns instead of 3; " in out
    assert len(json.loads((tmp_path / "out.json").read_text())["bad_rows"]) == 31
    assert main(["check", str(sound), "--limit", "3"]) == 0
    assert main(["check", str(sound), "--limit", "33", "--no-decode"]) == 1


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["soud.tsv"], "did you mean sound.tsv?"),
        (["*.ndjson"], "no file matches *.ndjson"),
        (["empty.jsonl"], "empty.jsonl: the file is empty"),
        (["scenes:splt=test"], "did you mean 'split'?"),
        (["sound.tsv", "--limit", "0"], "--limit is 0"),
        (["sound.tsv", "--json", "no/such/out.json"], "create it first"),
    ],
)
def test_what_cannot_be_checked_is_one_sentence(sound, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(sound.parent)
    Path("empty.jsonl").write_text("")
    with pytest.raises(SystemExit) as caught:
        run_tool(main, ["check", *arguments])
    out, err = capsys.readouterr()
    assert caught.value.code == 1 and out == ""
    assert err.startswith("error: ") and err.count("\n") == 1 and words in err


def test_it_runs_as_a_program(sound):
    run = subprocess.run(
        [sys.executable, ROOT / "tools" / "data.py", "check", sound],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stderr) == (0, "") and "3 good, 0 bad" in run.stdout


def test_shards_are_written_checked_and_gone_on_with(sound, tmp_path, capsys):
    out = str(tmp_path / "out")
    with open(sound, "a", encoding="utf-8") as handle:
        handle.write("x\t1\n")
    assert not main(["shard", str(sound), out, "--per-shard", "2", "--size-limit", "1MB"])
    text = capsys.readouterr().out
    assert "3 samples in 2 tars" in text and f"1 bad row was left out, see {out}/bad.txt" in text
    assert not main(["shard", str(sound), out, "--per-shard", "2", "--size-limit", "1MB"])
    assert main(["check", out, "--checksums"]) == 0
    assert "3 good, 0 bad" in capsys.readouterr().out


def test_a_new_users_folder_is_told_what_happened(sound, tmp_path, capsys):
    out = tmp_path / "out"
    assert not main(["shard", str(sound), str(out), "--per-shard", "1"])
    (out / "index.json").unlink()
    cut = out / "00001.tar"
    cut.write_bytes(cut.read_bytes()[:700])
    with tarfile.open(out / "00002.tar", "a") as tar:
        tar.addfile(tarfile.TarInfo("../x"))
    capsys.readouterr()
    assert main(["check", str(out)]) == 1
    text = capsys.readouterr().out
    assert f"note: {cut}: only the first 0 of 700 bytes can be read" in text and "copy or write the tar again" in text
    assert "names that lead out of the folder (1), for example" in text and "00002.tar:../x" in text
    assert "2 good, 0 bad" in text and text.endswith("damaged files    1\n")


def test_split_says_how_many_bad_rows_it_does_not_list(sound, tmp_path, capsys):
    parts = [str(tmp_path / f"{name}.jsonl") for name in ("train", "valid")]
    for bad, more in ((20, ""), (23, "... and 3 more; ")):
        table = tmp_path / f"{bad}.tsv"
        table.write_text(sound.read_text(encoding="utf-8") + "x\t1\n" * bad, encoding="utf-8")
        main(["split", str(table), *parts, "--share", "0.5", "--seed", "5", "--embed", "--replace"])
        out = capsys.readouterr().out
        assert out.count("instead of 3") == 20 and (more in out if more else "more;" not in out)


def test_a_mapping_is_a_source_on_the_command_line(sound, capsys):
    mapping = f"{{kind: mix, sources: [{{source: {sound}, weight: 2}}, {{source: 'scenes:size=3'}}]}}"
    assert main(["check", mapping]) == 0
    assert "a mix of 2 sources: 9 samples a pass" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run_tool(main, ["check", "{kind: [}"])
    assert "is not a YAML mapping" in capsys.readouterr().err
