"""`index build`, `add`, `update` and `remove` as a person uses them: what they print, refuse, and leave behind."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from ernie_vil2.cli.index import build as build_verb
from ernie_vil2.cli.main import dispatch
from ernie_vil2.errors import ConfigError, UserError
from ernie_vil2.search.store.snapshot import open_snapshot
from ernie_vil2.search.store.writer import open_writer
from tests.search.scan.conftest import draw


@pytest.fixture
def shell(place, capsys):
    """Function (command) -> what it prints, in the folder of `place`."""

    def run(command):
        capsys.readouterr()
        status = dispatch(["index", *command.split()])
        found = capsys.readouterr()
        run.errors = found.err
        return found.out if status in (None, 0) else f"status {status}: {found.out}"

    return run


def keys(place="ix"):
    part = open_snapshot(place).images
    return sorted(part.take(part.live_ids(), ["key"]).column("key").to_pylist())


def vectors(place="ix"):
    part = open_snapshot(place).images
    table = part.take(part.live_ids(), ["id", "key"])
    return dict(zip(table.column("key").to_pylist(), part.halves(part.live_ids()).tolist(), strict=True))


def test_from_a_folder_to_an_index_that_is_kept_up_to_date(shell, tmp_path):
    said = shell("build ix photos --model model")
    assert said.startswith("10 new, 0 moved, 0 edited, 0 gone, 0 bad, 0 as before\ntook ")
    assert "ix: 10 pictures\n" in said and "neighbours of images: flat, for up to 50,000 rows" in said
    assert "engine: " in shell.errors
    os.rename("photos/0", "photos/moved")
    os.unlink("photos/1/1.png")
    (tmp_path / "photos/bad.jpg").write_bytes(b"")
    said = shell("update ix")
    assert said.startswith("0 new, 5 moved, 0 edited, 1 gone, 1 bad, 4 as before")
    assert "bad files by cause: 1 empty image; listed in ix/bad.jsonl" in said
    assert json.loads((tmp_path / "ix/bad.jsonl").read_text())["path"] == "bad.jpg"
    assert "engine: " not in shell.errors  # nothing was encoded, so no model was loaded
    assert "1 bad file has not changed, so it was not tried again" in shell("update ix")


def test_a_build_that_is_given_again_goes_on(shell):
    shell("build ix photos --model model")
    before = vectors()
    assert "0 new" in shell("build ix photos --model model") and "0 new" in shell("build ix photos")
    draw(Path("photos/new.png"), 77)
    assert "1 new" in shell("build ix photos") and before.items() <= vectors().items()


def test_vectors_are_those_of_the_model(shell):
    import ernie_vil2

    shell("build ix photos --model model")
    wanted = ernie_vil2.load("model").encode_image("photos/0/4.png")[0]
    assert np.allclose(vectors()["0/4.png"], wanted, atol=2e-3)


def test_another_model_is_refused_and_rebuilds_when_asked(shell):
    shell("build ix photos --model model --type hnsw")
    before = vectors()
    for verb in ("build ix photos --model other", "update ix --model other", "add ix photos --model other"):
        with pytest.raises(UserError, match="another model than the one of .*--rebuild"):
            shell(verb)
    assert vectors() == before
    said = shell("build ix --model other --rebuild")
    assert "10 new" in said and said.endswith("ix was replaced\n") and "rebuild" not in said
    assert sorted(vectors()) == sorted(before) and vectors() != before
    assert not os.path.exists("ix.rebuild") and "10 as before" in shell("update ix")
    with pytest.raises(UserError, match="another model"):
        shell("update ix --model model")


def test_another_precision_is_refused(shell):
    shell("build ix photos --model model")
    with pytest.raises(ConfigError, match="encoded in fp32, not in bf16.*--rebuild"):
        shell("update ix --precision bf16")


def test_a_rebuild_that_was_stopped_goes_on(shell, monkeypatch):
    shell("build ix photos --model model")
    before = vectors()

    def stopped(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(build_verb, "replace_directory", stopped)
        shell("build ix --model other --rebuild")
    assert vectors() == before
    said = shell("build ix --model other --rebuild")
    assert "0 new" in said and "10 as before" in said and vectors() != before


def test_a_model_that_was_moved_is_named_again(shell):
    shell("build ix photos --model model")
    os.rename("model", "elsewhere")
    draw(Path("photos/new.png"), 77)
    with pytest.raises(UserError, match="is not there; say with --model where it is now"):
        shell("update ix")
    assert "1 new" in shell("update ix --model elsewhere")


def test_a_folder_that_was_moved_itself_keeps_its_rows(shell):
    shell("build ix photos --model model")
    shell("remove ix --path 1/1.png")
    ids = open_snapshot("ix").images.live_ids().tolist()
    os.rename("photos", "图")
    with pytest.raises(UserError, match="--moved OLD NEW"):
        shell("update ix")
    for _ in range(2):  # as it is given again after a kill
        assert "0 new, 0 moved, 0 edited, 0 gone, 0 bad, 9 as before" in shell("update ix --moved photos 图")
    snapshot = open_snapshot("ix")
    assert "engine: " not in shell.errors
    assert snapshot.images.live_ids().tolist() == ids and "0 new" in shell("update ix")
    (root,) = snapshot.manifest.roots.values()
    assert root["folder"] == os.path.realpath("图") == json.loads(root["spec"])["path"]
    for moved, said in (("nothing 图2", "no source"), ("图 图2", "is no folder")):
        with pytest.raises(UserError, match=said):
            shell(f"update ix --moved {moved}")


def test_more_sources_and_one_of_them_looked_at(shell, tmp_path):
    shell("build ix photos --model model")
    for seed in range(3):
        draw(tmp_path / f"table/{seed}.png", 100 + seed)
    rows = [{"image": f"{seed}.png", "text": "一只猫", "tags": ["猫"]} for seed in range(3)]
    (tmp_path / "table/rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = shell("add ix table/rows.jsonl")
    assert "3 new" in said and "ix: 13 pictures and 2 texts" in said and "neighbours of texts" in said
    draw(tmp_path / "photos/new.png", 200)
    assert "0 new" in shell("update ix --source table/rows.jsonl")
    assert "1 new" in shell("update ix --source photos")
    shutil.rmtree("table")
    said = shell("update ix")
    assert said.startswith("status 1: ") and "table/rows.jsonl" in shell.errors
    assert "0.png" in keys()
    assert shell("remove ix --source table/rows.jsonl") == "3 pictures removed; ix has 11\n"
    assert "0 new" in shell("update ix")


def test_a_folder_in_a_folder_is_told_of(shell):
    shell("build ix photos --model model")
    assert "lies in" not in shell.errors
    shell("add ix photos/1")
    (line,) = [line for line in shell.errors.splitlines() if "lies in" in line]
    assert line.startswith("note: ") and "photos/1 lies in " in line and "found twice" in line
    shell("remove ix --source photos")
    shell("add ix photos")
    assert "photos/1 lies in " in shell.errors


def test_what_is_removed_stays_out_until_its_folder_is_added_again(shell):
    shell("build ix photos --model model")
    assert shell("remove ix --path 0/* 1/1.png") == "6 pictures removed; ix has 4\n"
    assert "0 new" in shell("update ix") and len(keys()) == 4
    first = str(open_snapshot("ix").images.live_ids()[0])
    assert shell(f"remove ix --id {first}") == "1 picture removed; ix has 3\n"
    assert "7 new" in shell("add ix photos")
    with pytest.raises(ConfigError, match="nothing is named"):
        shell("remove ix")


def test_what_is_named_again_and_again_is_all_taken_out(shell):
    shell("build ix photos --model model")
    ids = open_snapshot("ix").images.live_ids()[:2]
    assert shell(f"remove ix --id {ids[0]} --id {ids[1]}").startswith("2 pictures removed")
    assert shell("remove ix --path 1/1.png --path 1/3.png 1/5.png").startswith("3 pictures removed")
    with pytest.raises(ConfigError, match="one source at a time"):
        shell("remove ix --source photos --source 0")
    assert len(keys()) == 5


def test_a_rebuild_is_of_what_the_index_is_of(shell):
    shell("build ix photos --model model --engine paddle --damaged keep --type sq8 --memory 90")
    shell("remove ix --path 0/*")
    before, left = open_snapshot("ix").manifest.model, keys()
    shell("build ix --rebuild")
    assert open_snapshot("ix").manifest.neighbours["image"]["asked"] == {"kind": "sq8", "memory": 90_000_000}
    assert open_snapshot("ix").manifest.model == before and keys() == left and len(left) == 5
    assert "0 new" in shell("update ix") and keys() == left
    shell("build ix --rebuild --model other")
    assert keys() == left and open_snapshot("ix").manifest.model["damaged"] == "skip"
    shell("build ix photos --rebuild --model other")
    assert len(keys()) == 10


def test_embeddings_of_an_unknown_model(shell):
    os.mkdir("e")
    np.save("e/image.npy", np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32))
    (Path("e/image_ids.txt")).write_text("a\nb\nc\nd\ne\n")
    assert "5 new" in shell("build ix --embeddings e")
    assert open_snapshot("ix").manifest.model["digest"] == "" and "5 as before" in shell("update ix")
    with pytest.raises(ConfigError, match="unknown model, so pictures cannot be added"):
        shell("add ix photos")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("build ix", "no source is named"),
        ("build ix photos", "a model is needed"),
        ("build ix missing --model model", "no such file or folder"),
        ("build photos photos --model model", "is no index; give the name of a new folder"),
        ("build model/config.json photos --model model", "is a file|no folder"),
        ("build ix photos --model model --frames often", "write `every 2 s`"),
        ("add ix photos", "no index; correct the path"),
        ("update ix", "no index; correct the path"),
        ("remove ix --id 1", "no index; correct the path"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_leaves_nothing(shell, command, said):
    with pytest.raises(UserError, match=said) as caught:
        shell(command)
    assert "\n" not in str(caught.value) and not os.path.exists("ix")


def test_an_index_in_the_folder_that_it_is_of(shell):
    shell("build photos/ix photos --model model")
    assert "10 as before" in shell("update photos/ix") and "passed over" not in shell.errors


def test_two_writers_at_once(shell):
    shell("build ix photos --model model")
    with open_writer("ix"):
        for command in ("update ix", "build ix photos", "remove ix --path *", "build ix --rebuild"):
            with pytest.raises(UserError, match="another process is writing"):
                shell(command)


def test_a_quiet_verb_speaks_where_something_has_changed(shell, tmp_path):
    shell("build ix photos --model model")
    (tmp_path / "photos/notes.txt").write_text("no picture")
    assert shell("update ix --quiet") == "" == shell("build ix photos --quiet") and shell.errors == ""
    draw(Path("photos/new.png"), 77)
    assert shell("update ix --quiet").startswith("1 new, ") and "1 file that is no picture" in shell.errors
    (tmp_path / "photos/bad.jpg").write_bytes(b"")
    assert "1 empty image" in shell("update ix --quiet") and shell("update ix --quiet") == ""
