"""No command writes over what it did not write, nor over its own input, unless `--replace` is given."""

import errno
import os
import shutil

import pytest

from ernie_vil2.errors import ConfigError, UserError
from ernie_vil2.evaluation.runs.records import Outcome, Result
from ernie_vil2.evaluation.runs.results import write_run
from ernie_vil2.files import atomic
from tests.cli.commands import EVAL, FILES, FOLDERS, KNOWN, call, content, place, run
from tests.conftest import ROOT


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_something_else_stays_unless_it_is_to_be_replaced(here, name):
    target = place(name) + (".pdparams" if name == "convert" else "")
    (here / target).write_text("mine")
    before = content(here)
    with pytest.raises(
        ConfigError, match=f"{target} exists and does not say that ernie-vil2 .* wrote it.*give --replace"
    ):
        call(FILES, name, target)
    assert content(here) == before
    assert not call(FILES, name, target, "--replace")
    written = content(here)
    assert written.pop(target) != b"mine" and before.pop(target)
    assert {key: written[key] for key in before} == before


@pytest.mark.parametrize("name", FILES)
def test_a_commands_own_file_is_replaced_where_it_can_be_known(here, name):
    target = place(name) + (".pdparams" if name == "convert" else "")
    call(FILES, name, target)
    before = content(here)
    if name in KNOWN:
        call(FILES, name, target)
    else:
        with pytest.raises(ConfigError, match="give --replace"):
            call(FILES, name, target)
    assert content(here) == before


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
@pytest.mark.parametrize("name", [name for name in FILES if FILES[name][2]])
def test_an_input_is_not_written_over_through_any_link(here, name, link):
    target = FILES[name][2]
    if link:
        target = f"link{os.path.splitext(target)[1]}"
        link(os.path.abspath(FILES[name][2]), target)
    before = content(here)
    with pytest.raises(UserError, match="is an input of this command; choose another name, or give --replace"):
        call(FILES, name, target)
    assert content(here) == before


def test_the_commands_of_the_report_that_lost_their_source(here):
    before = content(here)
    for command in (
        "data tags pairs.jsonl pairs.jsonl det.jsonl",
        "data check pairs.jsonl --json pairs.jsonl",
        'data check {"kind":"jsonl","path":"pairs.jsonl"} --json pairs.jsonl',
        "data check *.jsonl --json pairs.jsonl",
        "eval --model a --input pairs.jsonl --json pairs.jsonl",
        "eval --embeddings vectors --json vectors/run.json",
        "eval --model a --benchmark coco-cn@1053 --data coco --json a/config.json",
        "data tags pairs.jsonl det.jsonl det.jsonl",
        "data vocab pairs.jsonl 0.png --size 99",
    ):
        if "vectors" in command:
            run("encode --model a --input pairs.jsonl --output vectors")
            before = content(here)
        with pytest.raises(ConfigError):
            run(command)
        assert content(here) == before, command


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_something_else_stays_whatever_is_given(here, name):
    (here / "out").mkdir()
    (here / "out/photo.jpg").write_text("mine")
    (here / "file").write_text("mine")
    before = content(here)
    for target in ("out", "file"):
        for options in ([], ["--replace"]):
            with pytest.raises(ConfigError, match=f"{target} exists and is not a .*, so it is not replaced; choose"):
                call(FOLDERS, name, target, *options)
    assert content(here) == before


@pytest.mark.parametrize("name", FOLDERS)
def test_a_commands_own_folder_and_one_of_another_run(here, name):
    call(FOLDERS, name, "out")
    first = content(here)
    if name in KNOWN:
        call(FOLDERS, name, "out")
    else:
        with pytest.raises(ConfigError, match="give --replace"):
            call(FOLDERS, name, "out")
    if name != "benchmark":  # its report names the time
        assert content(here) == first
    (here / "pairs.jsonl").write_text((here / "pairs.jsonl").read_text().replace('"3"', '"x"'))
    if name in ("shard", "encode"):
        with pytest.raises(UserError):
            call(FOLDERS, name, "out", *(["--per-shard", "3"] if name == "shard" else []))
        assert {key: value for key, value in content(here).items() if key.startswith("out")} == {
            key: value for key, value in first.items() if key.startswith("out")
        }
        call(FOLDERS, name, "out", "--replace", *(["--per-shard", "3"] if name == "shard" else []))
        assert content(here) != first
    call(FOLDERS, name, "out", "--replace", *(["--per-shard", "3"] if name == "shard" else []))
    assert not [path for path in here.iterdir() if ".partial" in path.name or "tmp-" in path.name]


def test_what_a_run_goes_on_from_is_not_a_place_for_weights(here):
    shutil.copytree("a", "run/checkpoints/step-0000002")
    (here / "run/checkpoints/step-0000002/state.json").write_text("{}")
    (here / "run/log.jsonl").write_text("")
    before = content(here)
    for target in ("run/checkpoints/step-0000002", "run", "run/checkpoints"):
        with pytest.raises(ConfigError):
            run("interpolate a b", target)
        with pytest.raises(UserError):
            run("convert w.pdparams --no-check --vocab tiny_vocab.txt", target)
        with pytest.raises(ConfigError):
            run("interpolate", "run", "b", target)
        assert content(here) == before
    run("interpolate a b run/checkpoints/step-0000002 --replace")
    assert not (here / "run/checkpoints/step-0000002/state.json").exists()


def test_a_folder_that_holds_an_input_is_never_replaced(here):
    shutil.copytree("a", "outer/a")
    shutil.copy("a/config.json", "outer/config.json")
    before = content(here)
    for command in ("interpolate outer/a b outer", "encode --model outer/a --input pairs.jsonl --output outer"):
        with pytest.raises(ConfigError, match="outer is the folder that holds the source outer/a"):
            run(command, "--replace")
    assert content(here) == before


def test_a_model_may_be_replaced_by_what_is_between_it_and_another(here):
    before = content(here)
    with pytest.raises(ConfigError, match="is an input of this command"):
        run("interpolate a b a")
    run("interpolate a b a --replace")
    assert {key for key, value in content(here).items() if before[key] != value} == {
        "a/config.json",
        "a/model.safetensors",
    }


def test_engines_in_a_model_directory_are_no_file_of_somebody_else(here):
    run("interpolate a b out")
    (here / "out/engines/image").mkdir(parents=True)
    run("interpolate a b out")
    assert sorted(os.listdir("out")) == ["config.json", "model.safetensors", "vocab.txt"]
    (here / "out/notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="does not say that ernie-vil2 interpolate wrote it"):
        run("interpolate a b out")


@pytest.mark.parametrize("target", ["out", "./out", "dir/../out", "link"])
def test_two_outputs_do_not_share_a_place(here, target):
    (here / "dir").mkdir()
    os.symlink("out", "link")
    with pytest.raises(ConfigError, match="both written to; give each a place of its own|is a link to out"):
        run(EVAL, "--output", "out", "--json", target)
    assert not (here / "out").exists()


def test_the_comparison_keeps_files_of_something_else(here):
    write_run(here / "run", Outcome([Result("x", "sts", {"spearman": 0.5}, {}, provenance={})], "ab"), {})
    (here / "page").mkdir()
    (here / "page/compare.md").write_text("mine")
    with pytest.raises(ConfigError, match="compare.md exists and does not say that ernie-vil2 eval compare wrote it"):
        run("eval compare run --output page")
    assert os.listdir("page") == ["compare.md"]


@pytest.mark.parametrize("target", ["run", "run/below"])
def test_the_comparison_stays_out_of_what_it_compares(here, target):
    write_run(here / "run", Outcome([Result("x", "sts", {"spearman": 0.5}, {}, provenance={})], "ab"), {})
    before = sorted(os.listdir("run"))
    with pytest.raises(ConfigError, match="is in the run folder run, which it reads; name another folder"):
        run("eval compare run --output", target)
    assert sorted(os.listdir("run")) == before


def test_shards_give_way_only_where_nothing_else_lies_among_them(here):
    run("data shard pairs.jsonl out")
    (here / "out/notes.md").write_text("mine")
    with pytest.raises(ConfigError, match="out exists and is not a folder of shards alone"):
        run("data shard pairs.jsonl out --per-shard 1 --replace")
    assert (here / "out/notes.md").read_text() == "mine" and (here / "out/00000.tar").exists()


def test_the_ablation_says_before_any_run_that_its_page_is_in_the_way(here, monkeypatch):
    (here / "out.svg").write_text("mine")
    with pytest.raises(ConfigError, match="out.svg exists and does not say that ernie-vil2 bench ablation wrote it"):
        run("bench ablation --output runs --write out.md --configs", ROOT / "configs/ablation")
    assert not (here / "runs").exists() and (here / "out.svg").read_text() == "mine"


def test_the_index_of_another_program_beside_a_tar_stays(here, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))
    run("data shard pairs.jsonl out")
    (here / "out/00000.tar.index").write_text("mine")
    assert run("data check out/00000.tar") == 0
    assert (here / "out/00000.tar.index").read_text() == "mine" and list((here / "cache").rglob("*.index"))


@pytest.mark.parametrize("cases, name", [(FILES, name) for name in FILES] + [(FOLDERS, name) for name in FOLDERS])
def test_a_full_disk_leaves_the_former_output_as_it_was(here, monkeypatch, cases, name):
    target = place(name) + (".pdparams" if name == "convert" and cases is FILES else "")
    call(cases, name, target)
    before = content(here)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic.os, "fsync", full)
    other = ["--per-shard", "1"] if name == "shard" else []
    (here / "pairs.jsonl").write_text((here / "pairs.jsonl").read_text().replace('"3"', '"x"'))
    with pytest.raises(UserError, match=f"{target}.*No space left on device") as caught:
        call(cases, name, target, "--replace", *other)
    assert "\n" not in str(caught.value)
    after = content(here)
    assert {key: after[key] for key in before if key != "pairs.jsonl"} == {
        key: value for key, value in before.items() if key != "pairs.jsonl"
    }
