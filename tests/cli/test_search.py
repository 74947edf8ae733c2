"""The verb `search`: a table for people, JSON for programs, a page for a browser, one sentence for what is wrong."""

import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

import ernie_vil2
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.cli.main import dispatch, main
from ernie_vil2.inference.identity import model_digest
from ernie_vil2.pages.terminal import columns
from ernie_vil2.search.store.columns import ImageRow, TextRow
from ernie_vil2.search.store.manifest import Manifest
from ernie_vil2.search.store.writer import open_writer

CAPTIONS = ["一只红猫", "一只蓝狗", "a red cat", "a small dog on the left", "大的方形"]
ODD = b"\xba\xa3.png"  # a name in GBK


@pytest.fixture
def here(tmp_path, tiny_config, tiny_vocab, monkeypatch):
    """Working directory with a model and an index of five pictures, one of which is gone and one has an odd name."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    state = {key: rng.normal(0, 0.3, shape).astype(np.float32) for key, shape in manifest(tiny_config).items()}
    save_model("model", state, tiny_config, tiny_vocab)
    model = ernie_vil2.load("model")
    (tmp_path / "photos").mkdir()
    names = [f"{number}.png".encode() for number in range(4)] + [ODD]
    for name in names:
        pixels = rng.integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save("new.png")
        (tmp_path / "new.png").rename(tmp_path / "photos" / name.decode("utf-8", "surrogateescape"))
    images = model.encode_image([tmp_path / "photos" / name.decode("utf-8", "surrogateescape") for name in names])
    (tmp_path / "photos" / "3.png").unlink()
    known = {"digest": model_digest("model"), "path": str(tmp_path / "model")}
    with open_writer("index", Manifest(width=model.embed_dim, model=known)) as writer:
        root = writer.root("photos", str(tmp_path / "photos"), "folder")
        texts = writer.add_texts([TextRow("caption", text) for text in CAPTIONS], model.encode_text(CAPTIONS))
        rows = [
            ImageRow(root, name.decode("gb18030"), name, caption=text, width=40, height=40, date=10**9, texts=(own,))
            for name, text, own in zip(names, CAPTIONS, texts.tolist(), strict=True)
        ]
        writer.add(rows, images)
        writer.commit()
    return tmp_path


def told(capsys, *arguments):
    """(printed lines, lines on standard error) of a search in the index."""
    dispatch(["search", "index", *map(str, arguments)])
    captured = capsys.readouterr()
    return captured.out.splitlines(), captured.err.splitlines()


def hits_of(capsys, *arguments):
    return json.loads("\n".join(told(capsys, *arguments, "--json")[0]))


def test_a_table_has_a_line_for_a_hit(here, capsys):
    lines, notes = told(capsys, "红猫", "--k", 3)
    wanted = ernie_vil2.open_index("index").search("红猫", k=3)
    assert [line.split()[:3] for line in lines[1:]] == [[f"{hit.score:.4f}", f"{hit.id}", hit.key] for hit in wanted]
    assert lines[0].split()[:3] == ["score", "id", "name"] and notes[0] == "1 to 3 of 5"


def test_captions_begin_in_one_column_however_wide_names_are(here, capsys):
    lines, notes = told(capsys, "红猫", "--k", 5)
    place = columns(lines[0][: lines[0].index("caption")])
    for hit, line in zip(ernie_vil2.open_index("index").search("红猫", k=5), lines[1:], strict=True):
        assert columns(line[: line.index(hit.caption)]) == place
        assert ("missing" in line) == (hit.key == "3.png")
    assert notes[1].endswith("ernie-vil2 index update index looks for where they are")


def test_what_an_index_does_not_have_is_told(here, capsys):
    assert told(capsys, "a", "--of", "tags") == ([], ["nothing was found, for the index has no tags"])
    assert told(capsys, "a", "--filter", "video") == ([], ["nothing was found"])


def filed(here, *places):
    """The index `filed`, with a picture for each (key, path) of the table photos/t.csv."""
    index = ernie_vil2.open_index("index")
    with open_writer("filed", Manifest(width=index.manifest.width, model=index.manifest.model)) as writer:
        root = writer.root(str(here / "photos" / "t.csv"), "", "source")
        folders = [path.rpartition("/")[0] for _, path in places]
        rows = [
            ImageRow(root, key, str(here / "photos" / path).encode(), folder)
            for (key, path), folder in zip(places, folders, strict=True)
        ]
        writer.add(rows, np.eye(len(rows), index.manifest.width, dtype=np.float32))
        writer.commit()


def test_a_number_for_a_name_has_the_file_behind_it(here, capsys):
    filed(here, ("A7", "2025年/春季/红裙.png"), ("2024年/a.png", "2024年/a.png"), ("7 红裙.png", "7 红裙.png"))
    dispatch(["search", "filed", "a"])
    printed = capsys.readouterr().out
    assert "A7 2025年/春季/红裙.png  " in printed
    assert printed.count("a.png") == 1 and printed.count("红裙.png") == 2


@pytest.mark.parametrize(
    "filters, words",
    [
        (["folder:春季"], "no picture lies in folder:春季; is one of these meant: 2024年/春季, 2025年/春季?"),
        (["folder:冬季"], "no picture lies in folder:冬季; write all of its path below the source"),
        (["folder:2025年", "width>=9999"], ""),
        (["-folder:2025年", "-folder:2024年", "-folder:冬季"], ""),
        (["folder:新款", "width>=9999"], "folder:新款; is one of these meant: 2025年/春季/新款?"),
    ],
)
def test_a_folder_that_is_not_there_is_told_with_those_that_may_be_meant(here, capsys, filters, words):
    filed(here, ("1", "2025年/春季/新款/红裙.png"), ("2", "2024年/春季/a.png"))
    dispatch(["search", "filed", "a", *(part for given in filters for part in ("--filter", given))])
    notes = capsys.readouterr().err.splitlines()
    assert notes[0] == "nothing was found" and (words in notes[1] if words else len(notes) == 1)


def test_a_command_that_is_named_can_be_repeated(here, capsys):
    shutil.copytree("index", "my index")
    dispatch(["search", "my index", "红猫", "--k", "5"])
    assert "ernie-vil2 index update 'my index' looks" in capsys.readouterr().err


def test_json_has_everything_and_names_come_back(here, capsys):
    shown = hits_of(capsys, "红猫", "--k", 5)
    assert (shown["page"], shown["k"], shown["total"], shown["of"]) == (1, 5, 5, "images")
    odd = next(hit for hit in shown["hits"] if hit["key"] == "海.png")
    assert odd["path"].encode("utf-8", "surrogateescape").endswith(b"photos/" + ODD) and not odd["missing"]
    assert (odd["width"], odd["date"], odd["caption"]) == (40, "2001-09-09T01:46:40", "大的方形")


def test_a_picture_finds_itself_and_its_texts(here, capsys):
    assert hits_of(capsys, "--image", "photos/2.png")["hits"][0]["key"] == "2.png"
    assert hits_of(capsys, "--like", 2)["hits"][0]["key"] == "2.png"
    texts = hits_of(capsys, "a red cat", "--of", "captions")["hits"]
    assert texts[0]["text"] == "a red cat" and texts[0]["images"] == [2]
    assert "pictures" in told(capsys, "a red cat", "--of", "texts")[0][0]


def test_parts_weights_pages_filters_and_thresholds_reach_the_index(here, capsys):
    index = ernie_vil2.open_index("index")
    options = "--image photos/0.png --minus a --minus-image photos/1.png --weight 2 --weight 0.5 --weight 0.3".split()
    shown = hits_of(capsys, "红猫", *options, "--k", 2, "--page", 2, "--filter", "picture", "--filter", "-id:4")
    minus = {"text": ("a", 0.3), "image": "photos/1.png"}
    wanted = index.search(("红猫", 2), ("photos/0.png", 0.5), minus=minus, k=2, page=2, filter="picture -id:4")
    assert [(hit["id"], hit["score"]) for hit in shown["hits"]] == [(hit.id, hit.score) for hit in wanted]
    assert shown["total"] == 4
    least = index.search("红猫", k=5)[1].score
    assert hits_of(capsys, "红猫", "--threshold", least)["total"] == 2


def test_a_page_for_the_browser_shows_files_where_they_lie(here, capsys, monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    _, notes = told(capsys, '<b>"红猫"', "--open", "--k", 5)
    (page,) = tmp_path.glob("ernie-vil2-search-*.html")
    text = page.read_text(encoding="utf-8")
    assert opened == [page.as_uri()] and notes == [f"1 to 5 of 5: {page}"]
    assert text.count("<li>") == 5 and text.count("not there any more") == 1
    assert f'src="{tmp_path.as_uri()}/photos/%BA%A3.png"' in text and "<script" not in text
    assert "&lt;b&gt;" in text and "<b>&quot;" not in text


def test_the_terminal_is_not_wider_than_it_is(here, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "56")
    lines, _ = told(capsys, "红猫", "--k", 5)
    assert max(map(columns, lines)) <= 56 and any(line.endswith("…") for line in lines)


WRONG = {
    ("猫", "--k", "100000"): "k is 100000, but at most 10,000 hits are ranked",
    ("猫" * 10_000,): "the text has 10,000 characters; ask with at most 2,000",
    (" ",): "the text is empty",
    ("猫", "--filter", "widht>3"): "did you mean 'width'",
    ("猫", "--threshold", "same"): "the index has no threshold 'same'",
    ("--image", "nowhere.png"): "nowhere.png: cannot be read",
    ("--like", "99"): "the index has no picture 99",
    ("猫", "--minus", "猫"): "cancel each other",
    ("猫", "--model", "nowhere"): "nowhere: is not there; name the model of this index",
}


def test_what_is_wrong_is_one_sentence(here, capsys):
    for arguments, sentence in WRONG.items():
        with pytest.raises(SystemExit) as left:
            main(["search", "index", *arguments])
        (line,) = capsys.readouterr().err.splitlines()
        assert left.value.code == 1 and line.startswith("error: ") and sentence in line


@pytest.mark.parametrize(
    "arguments", [[], ["--weight", "1", "--minus", "猫"], ["猫", "--weight", "1", "--weight", "2"]]
)
def test_usage_is_told_before_anything_is_opened(capsys, arguments):
    with pytest.raises(SystemExit) as left:
        dispatch(["search", "nowhere", *arguments])
    assert left.value.code == 2 and "error:" in capsys.readouterr().err


def test_another_model_is_refused(here, capsys, tiny_config, tiny_vocab):
    shutil.copytree("model", "copy")
    assert len(hits_of(capsys, "猫", "--model", "copy")["hits"]) == 5
    rng = np.random.default_rng(1)
    state = {key: rng.normal(0, 0.3, shape).astype(np.float32) for key, shape in manifest(tiny_config).items()}
    save_model("other", state, tiny_config, tiny_vocab)
    with pytest.raises(SystemExit):
        main(["search", "index", "猫", "--model", "other"])
    assert "other is another model than the index was made with" in capsys.readouterr().err
