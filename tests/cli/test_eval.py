"""The evaluation tool from a model and a source to figures, and its agreement with encoding to files first."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ernie_vil2.checkpoints.model_directory import open_directory, save_model
from ernie_vil2.cli import encode, parity
from ernie_vil2.cli.eval import compare
from ernie_vil2.cli.eval import main as tool
from ernie_vil2.config.model import ModelConfig
from ernie_vil2.errors import CheckpointError, ConfigError, DataError
from ernie_vil2.evaluation.runs import results as runs
from ernie_vil2.models.dual_encoder import new_model
from tests.conftest import ROOT
from tests.evaluation.benchmarks import makers

CAPTIONS = ["红猫", "蓝狗", "一只红狗", "蓝猫坐", "红", "狗坐"]
TOKENS = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", *"一只红蓝猫狗坐图的第句0123456789", "[UNK]"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    root = tmp_path_factory.mktemp("model")
    (root / "vocab.txt").write_text("".join(f"{token}\n" for token in TOKENS), encoding="utf-8")
    config = ModelConfig.from_dict(
        {
            "image_tower": {"image_size": 32, "patch_size": 16, "width": 16, "depth": 1, "heads": 2},
            "text_tower": {"vocab_size": 40, "positions": 16, "width": 16, "depth": 1, "heads": 2},
            "max_length": 10,
            "pixels": {"size": 32},
        }
    )
    state = {key: value.numpy() for key, value in new_model(config).state_dict().items()}
    save_model(root / "tiny", state, config, root / "vocab.txt")
    return root / "tiny"


@pytest.fixture
def source(tmp_path):
    """JSON lines: three images with two captions each."""
    rng = np.random.default_rng(0)
    lines = []
    for index in range(3):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(tmp_path / f"{index}.png")
        lines.append({"image": f"{index}.png", "texts": CAPTIONS[2 * index : 2 * index + 2]})
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def test_model_and_source_equal_encoded_files(model, source, tmp_path):
    direct, files, text = tmp_path / "a.json", tmp_path / "b.json", tmp_path / "c.json"
    tool.main(["--model", str(model), "--input", str(source), "--json", str(direct)])
    encode.main(["--model", str(model), "--input", str(source), "--output", str(tmp_path / "out")])
    tool.main(["--embeddings", str(tmp_path / "out"), "--json", str(files)])
    encode.main(
        ["--model", str(model), "--input", str(source), "--output", str(tmp_path / "out.txt"), "--format", "release"]
    )
    tool.main(["--embeddings", str(tmp_path / "out.txt"), "--json", str(text), "--protocol", "official"])
    direct, files, text = (json.loads(path.read_text(encoding="utf-8"))["protocols"] for path in (direct, files, text))
    assert (direct["standard"]["num_images"], direct["standard"]["num_texts"]) == (3, 6)
    assert direct == files
    assert text["official"] == direct["official"]


def test_an_own_source_is_kept_as_a_run_and_compared(model, source, tmp_path, capsys):
    """Both protocols are kept, whichever is printed; a run of the same folder replaces the first."""
    asked = ["--model", str(model), "--input", str(source), "--output", str(tmp_path / "run")]
    tool.main([*asked, "--protocol", "official", "--json", str(tmp_path / "out.json")])
    assert f"wrote {tmp_path / 'run'}" in capsys.readouterr().out
    kept, told = runs.read_run(tmp_path / "run"), json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [row.benchmark for row in kept.results] == ["own:pairs.jsonl@standard", "own:pairs.jsonl@official"]
    assert set(told["protocols"]) == {"official"}
    assert kept.results[1].metrics.items() <= told["protocols"]["official"].items()
    assert {"command", "data_sha256", "model_sha256", "engines"} <= set(kept.results[0].provenance)
    assert len(kept.analysis["thumbnails"]) == 3 and set(kept.analysis["texts"].values()) == set(CAPTIONS)
    tool.main(asked)
    assert f"replaced {tmp_path / 'run'}" in capsys.readouterr().out
    compare.main([str(tmp_path / "run")])
    assert "### pairs.jsonl, standard protocol" in capsys.readouterr().out


def test_a_broken_image_is_named_or_left_out(model, source, tmp_path, capsys):
    (tmp_path / "1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"pairs\.jsonl:2.*, or leave such rows out and count them with --skip-broken"):
        tool.main(["--model", str(model), "--input", str(source)])
    tool.main(["--model", str(model), "--input", str(source), "--skip-broken"])
    printed = capsys.readouterr().out
    assert "standard protocol: 2 images, 4 texts" in printed
    assert "note: samples left out: 1, the first: " in printed and "pairs.jsonl:2" in printed
    assert "(by cause: 1 not an image)" in printed


@pytest.mark.parametrize("side, what", [("visual.", "image '0.png'"), ("text_model.", "a text of image '0.png'")])
def test_a_model_that_gives_nan_is_told_so(model, source, tmp_path, side, what):
    state, config, _ = open_directory(model)
    state = {key: np.asarray(state[key]) * np.float32("nan" if key.startswith(side) else 1) for key in state}
    save_model(tmp_path / "broken", state, config, model / "vocab.txt")
    with pytest.raises(CheckpointError, match=f"the model's embeddings are not finite: .*, the first is {what}"):
        tool.main(["--model", str(tmp_path / "broken"), "--input", str(source), "--skip-broken"])


def test_help_of_both_tools(capsys):
    for main in (tool.main, parity.main):
        with pytest.raises(SystemExit) as caught:
            main(["--help"])
        assert caught.value.code == 0
    assert "--fixture" in capsys.readouterr().out


# Benchmarks


def benchmark(model, data, name, *more):
    return tool.main(["--benchmark", name, "--data", str(data), "--model", str(model), *map(str, more)])


def test_a_benchmark_is_measured_printed_and_written(model, tmp_path, capsys):
    makers.coco_cn(tmp_path / "data", makers.WINDOWS)
    assert not benchmark(
        model,
        tmp_path / "data",
        "coco-cn",
        "--allow-counts",
        "--json",
        tmp_path / "out.json",
        "--output",
        tmp_path / "run",
    )
    printed, content = capsys.readouterr().out, json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    names = ["coco-cn@1053", "coco-cn@1k-official", "coco-cn@5k"]
    assert [row["benchmark"] for row in content["results"]] == names
    for row in content["results"]:
        section = printed.split(f"{row['benchmark']} (retrieval): 6 images")[1]
        assert f"{row['metrics']['t2i_r1']:.2f}" in section
        origin = row["provenance"]
        assert origin["data_sha256"] == content["data_sha256"] and "--benchmark coco-cn" in origin["command"]
        assert {"model_sha256", "config_sha256", "versions"} < set(origin)
    written = runs.read_run(tmp_path / "run")
    assert [row.benchmark for row in written.results] == names
    assert [row.metrics for row in written.results] == [row["metrics"] for row in content["results"]]
    assert printed.count("note: of each image the first caption") == 1
    benchmark(model, tmp_path / "data", "coco-cn@5k", "--allow-counts", "--json", tmp_path / "alone.json")
    alone = json.loads((tmp_path / "alone.json").read_text(encoding="utf-8"))["results"]
    assert alone[0]["metrics"] == pytest.approx(content["results"][2]["metrics"], abs=1e-6)


def test_a_reader_that_has_gone_loses_no_run(model, tmp_path, monkeypatch):
    class Gone:
        def write(self, text):
            raise BrokenPipeError

        flush = write

    makers.coco_cn(tmp_path / "data")
    monkeypatch.setattr(sys, "stdout", Gone())
    with pytest.raises(BrokenPipeError):
        benchmark(
            model,
            tmp_path / "data",
            "coco-cn@5k",
            "--allow-counts",
            "--json",
            tmp_path / "out.json",
            "--output",
            tmp_path / "run",
        )
    monkeypatch.undo()
    assert [row.benchmark for row in runs.read_run(tmp_path / "run").results] == ["coco-cn@5k"]
    assert (tmp_path / "out.json").is_file()


def test_a_benchmark_equals_the_same_rows_as_a_source(model, tmp_path):
    """The release's file of COCO-CN, as a benchmark and as `--input`."""
    path = makers.release_tsv(tmp_path / "test.tsv", [(text, f"i{row}", row) for row, text in enumerate(CAPTIONS)])
    benchmark(model, path, "coco-cn@1k-official", "--allow-counts", "--json", tmp_path / "a.json")
    tool.main(
        ["--model", str(model), "--input", str(path), "--protocol", "official", "--json", str(tmp_path / "b.json")]
    )
    first, second = (json.loads((tmp_path / name).read_text(encoding="utf-8")) for name in ("a.json", "b.json"))
    wanted = second["protocols"]["official"]
    assert first["results"][0]["metrics"] == {key: wanted[key] for key in first["results"][0]["metrics"]}


@pytest.mark.parametrize(
    "name, make",
    [("muge", makers.muge), ("cbvs", makers.cbvs), ("mscoco@1k", lambda folder: makers.karpathy(folder, "mscoco"))],
)
def test_other_kinds_of_figures(model, tmp_path, capsys, name, make):
    make(tmp_path / "data")
    assert not benchmark(model, tmp_path / "data", name, "--allow-counts")
    assert "Text2Image" in capsys.readouterr().out


def test_a_fault_of_the_files_is_told_before_the_model_is_loaded(tmp_path):
    makers.coco_cn(tmp_path)
    (tmp_path / "val2014" / f"{makers.coco_ids(6)[1]}.jpg").unlink()
    (tmp_path / "model").mkdir()
    with pytest.raises(DataError, match="missing images: 1 of 6"):
        benchmark(tmp_path / "model", tmp_path, "coco-cn")


def test_a_benchmark_s_error_is_one_line(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "tools.eval", "--benchmark", "muge", "--data", str(tmp_path), "--model", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert run.returncode == 1 and run.stderr.count("\n") == 1 and "Tianchi" in run.stderr
    assert run.stderr.startswith(f"error: {tmp_path} lacks the valid set")


@pytest.mark.parametrize(
    "more, words",
    [
        (["--skip-broken"], "--skip-broken does not go with the benchmark coco-cn, which skips no image"),
        (["-o", "x=1"], "unknown option .x.; take one of allow_counts, boxes"),
        (["-o", "x"], "not OPTION=VALUE"),
        (["--split", "val", "-o", "split=val"], "the second split"),
    ],
)
def test_options_that_a_benchmark_has_not(model, tmp_path, more, words):
    with pytest.raises(ConfigError, match=words):
        benchmark(model, tmp_path, "coco-cn", *more)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--model", "m", "--benchmark", "muge"],
        ["--model", "m", "--data", "d"],
        ["--benchmark", "muge", "--data", "d"],
        ["--model", "m", "--input", "i", "--benchmark", "muge", "--data", "d"],
        ["--embeddings", "e", "--split", "val"],
        ["--model", "m", "--benchmark", "muge", "--data", "d", "--protocol", "official"],
        ["--embeddings", "e", "--output", "o"],
        ["--model", "m", "--input", "i", "-o", "a=1"],
    ],
)
def test_usage_of_benchmarks(arguments):
    with pytest.raises(SystemExit) as caught:
        tool.main(arguments)
    assert caught.value.code == 2


def test_a_protocol_beside_a_benchmark_is_told(capsys):
    with pytest.raises(SystemExit):
        tool.main(["--model", "m", "--benchmark", "coco-cn", "--data", "d", "--protocol", "standard"])
    assert "--protocol does not go with --benchmark" in capsys.readouterr().err.splitlines()[-1]


def test_what_was_written_is_told(model, tmp_path, capsys):
    makers.muge(tmp_path / "data")
    (tmp_path / "run").mkdir()
    for verb in ("wrote", "replaced"):
        benchmark(model, tmp_path / "data", "muge", "--allow-counts", "--output", tmp_path / "run")
        assert capsys.readouterr().out.endswith(f"\n{verb} {tmp_path / 'run'}\n")


def test_compare_is_handed_on(monkeypatch):
    monkeypatch.setattr(compare, "main", lambda argv: argv)
    assert tool.main(["compare", "a", "b"]) == ["a", "b"]


def test_embeddings_cannot_be_measured_on_a_benchmark(tmp_path, capsys):
    with pytest.raises(SystemExit):
        tool.main(["--embeddings", str(tmp_path), "--benchmark", "muge", "--data", str(tmp_path)])
    assert "--benchmark" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("option", ["progress=1", "model=x", "name=x", "data=x"])
@pytest.mark.parametrize("name", ["muge", "sts"])
def test_what_is_no_option_of_a_benchmark_is_refused(tmp_path, name, option):
    with pytest.raises(ConfigError, match=f"has no option {option.partition('=')[0]}"):
        benchmark(tmp_path, tmp_path, name, "-o", option)


def test_folders_and_splits_may_be_called_like_numbers(tmp_path):
    with pytest.raises(DataError, match="has no ImageList"):
        benchmark(tmp_path, tmp_path, "image-retrieval@nus-wide", "-o", "images=2017", "-o", "split=2014")
    makers.put(tmp_path / "label_cn.txt", "猫\n")
    with pytest.raises(DataError, match="has no folder 2014"):
        benchmark(tmp_path, tmp_path, "folder", "-o", "split=2014")


def test_the_figures_are_printed_before_anything_is_written(model, tmp_path, capsys, monkeypatch):
    def full(*given):
        raise CheckpointError("the disk is full")

    makers.muge(tmp_path / "data")
    monkeypatch.setattr("ernie_vil2.evaluation.runs.results.write_run", full)
    with pytest.raises(CheckpointError, match="full"):
        benchmark(model, tmp_path / "data", "muge", "--allow-counts", "--output", tmp_path / "run")
    assert "Text2Image" in capsys.readouterr().out


def test_another_vocabulary_is_another_configuration(model, tmp_path):
    makers.muge(tmp_path / "data")
    other = tmp_path / "vocab.txt"
    other.write_text("".join(f"{token}\n" for token in [*TOKENS[:4], *TOKENS[:3:-1]]), encoding="utf-8")
    found = []
    for more in ((), ("--vocab", model / "vocab.txt"), ("--vocab", other)):
        benchmark(model, tmp_path / "data", "muge", "--allow-counts", "--json", tmp_path / "out.json", *more)
        [row] = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["results"]
        found.append(row["provenance"]["config_sha256"])
    assert len(set(found)) == 3


@pytest.mark.parametrize("option", ["allow_counts=no", "synonyms=off", "skip_broken=0"])
def test_a_switch_is_true_or_false(tmp_path, option):
    with pytest.raises(ConfigError, match=f"{option.partition('=')[0]} must be true or false"):
        benchmark(tmp_path, tmp_path, "folder", "-o", option)
