"""The verbs that look after an index: what they say is so, and bad input is one sentence."""

import json

import numpy as np
import pytest

from ernie_vil2.cli.main import dispatch
from ernie_vil2.errors import UserError
from ernie_vil2.search.store.check import check
from ernie_vil2.search.store.snapshot import open_snapshot
from ernie_vil2.search.store.writer import open_writer
from tests.search.store.indexes import content, manifest, pictures, sentences, unit


def made(folder, numbers, **fields):
    """An index of some pictures of one folder, each with a caption."""
    with open_writer(
        folder, manifest(**{"engines": {"image": "paddle 3 fp32"}, "pixels": {"size": 224}, **fields})
    ) as w:
        w.root("图", "/图", "folder")
        texts = w.add_texts(sentences(numbers), unit(numbers)).tolist()
        w.add(pictures(numbers, texts=lambda number: (texts[number - numbers[0]],)), unit(numbers))
        w.commit()
    return folder


@pytest.fixture
def index(tmp_path):
    """An index with two segments, a picture that is gone, and a threshold."""
    folder = made(tmp_path / "索引", range(40))
    with open_writer(folder) as writer:
        writer.change([3], pictures([300]))
        writer.remove([7])
        writer.set_threshold(
            "same",
            {"threshold": 0.91, "of": "image-image", "model": "a1", "wanted_precision": 97.916667, "held_out": {}},
        )
        writer.commit()
    return folder


def run(capsys, *command):
    """(status, lines of the standard output) of a verb of `index`."""
    status = dispatch(["index", *map(str, command)])
    return status, capsys.readouterr().out.splitlines()


def test_info_tells_what_is_there(index, capsys):
    status, lines = run(capsys, "info", index)
    told = {line[:16].strip(): line[17:] for line in lines}
    assert not status and told["pictures"] == "39, 1 gone" and told["texts"] == "38, 2 gone"
    assert told["segments"] == "80, 1" and told["model"] == "M, vectors of 16 values"
    assert told["engines"] == "paddle 3 fp32 (images)" and told["pixels"] == "size 224"
    assert told["root 0"] == "/图 (folder), 39 pictures" and "vectors" in told["on the disk"]
    assert told["threshold same"] == "threshold 0.91, of image-image, wanted precision 97.92"


def test_info_as_json_has_the_whole_of_it(index, capsys):
    _, lines = run(capsys, "info", index, "--json")
    found = json.loads("\n".join(lines))
    assert found["rows"] == {"image": {"living": 39, "gone": 1}, "text": {"living": 38, "gone": 2}}
    assert found["bytes"]["vectors"] == 80 * 16 * 2 and found["thresholds"]["same"]["held_out"] == {}
    assert found["roots"]["0"] == {"spec": "图", "folder": "/图", "kind": "folder", "pictures": 39}


def test_compact_says_what_it_gave_and_makes_the_neighbours_that_are_asked_for(index, capsys):
    before = content(index)
    status, lines = run(capsys, "compact", index, "--type", "sq8")
    assert not status and lines[0].startswith(f"{index}: from 80 to 77 rows, ") and lines[0].endswith("2 to 1 segments")
    assert any("sq8" in line for line in lines[1:])
    assert content(index) == before and open_snapshot(index).manifest.neighbours["image"]["kind"] == "sq8"
    _, lines = run(capsys, "info", index)
    assert any(line.startswith("image neighbours") and "finds" in line for line in lines)


def test_check_is_content_with_what_was_written_and_names_what_was_changed(index, capsys):
    run(capsys, "compact", index, "--type", "sq8")
    for options in ([], ["--quick"]):
        status, lines = run(capsys, "check", index, *options)
        assert status == 0 and len(lines) == 1 and "is whole" in lines[0]
    path = next(index.glob("segments/*/images.f16"))
    old = path.read_bytes()
    path.write_bytes(old[:40] + bytes([old[40] ^ 1]) + old[41:])
    status, lines = run(capsys, "check", index)
    assert status == 1 and f"{path} does not have its checksum" in lines[0]
    path.write_bytes(old)
    path = neighbours_file(index)
    path.write_bytes(path.read_bytes()[:-1])
    status, lines = run(capsys, "check", index)
    assert status == 1 and path.name in lines[0]


def test_vectors_that_stand_by_other_rows_are_found(tmp_path, capsys):
    index = made(tmp_path / "index", range(400))
    run(capsys, "compact", index, "--type", "sq8")
    path = next(index.glob("segments/*/images.f16"))
    path.write_bytes(np.fromfile(path, np.float16).reshape(-1, 16)[::-1].tobytes())
    status, lines = run(capsys, "check", index, "--quick")
    assert status == 1 and "do not belong together" in lines[-1]


def neighbours_file(index):
    """The file of what finds neighbours of pictures."""
    (path,) = open_snapshot(index).neighbours_folder("image").iterdir()
    return path


def test_merge_says_how_many_came(index, tmp_path, capsys):
    other = made(tmp_path / "other", range(30, 60))
    status, lines = run(capsys, "merge", index, other, other)
    assert not status and lines[0] == f"{index}: 20 pictures added, 10 were there already, 59 now"
    assert check(index) == [] and len(content(other)["image"]) == 30


@pytest.mark.parametrize("verb", [["info"], ["check"], ["compact"], ["merge"], ["merge", "x"]])
def test_a_folder_that_is_no_index_is_one_sentence(verb, index, tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.txt").write_text("一")
    command = {"merge": [verb[0], tmp_path / "photos", index], "mergex": ["merge", index, tmp_path / "photos"]}
    with pytest.raises(UserError, match="has no manifest.json, so it is no index; correct the path, or make one"):
        run(capsys, *command.get("".join(verb), [*verb, tmp_path / "photos"]))
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["1.txt"]


def test_another_model_is_one_sentence(index, tmp_path, capsys):
    other = made(tmp_path / "other", range(3), model={"digest": "d2", "path": "另"})
    before = content(index)
    with pytest.raises(UserError, match="other was made with the model '另' and .* with 'M', which is another"):
        run(capsys, "merge", index, other)
    assert content(index) == before
