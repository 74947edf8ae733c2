"""What `up` asks of an index: where it is, what is wrong is said at once, and how it is brought up to date."""

import os
import sys

import pytest

from ernie_vil2.cli.main import dispatch
from ernie_vil2.cli.up.folder_index import folder_index
from ernie_vil2.cli.up.main import parser
from ernie_vil2.errors import UserError


def asked(line):
    return folder_index(parser().parse_args(line.split()))


def arguments(index):
    """The verb of `index` that the command runs, and what it is given."""
    command = index.command()
    assert (
        command[:4] == [sys.executable, "-m", "ernie_vil2.cli.up.attached", str(os.getpid())] and command[4] == "index"
    )
    return command[5:]


def test_a_new_index_is_built_beside_the_folder(place):
    for folder in ("photos", "photos/", f"{place}/photos"):
        index = asked(f"{folder} --model model")
        assert index.folder == place / "photos.index" and not index.exists()
    assert arguments(index) == ["build", f"{place}/photos.index", f"{place}/photos", "--model", "model"]
    assert not os.path.exists("photos.index")


def test_options_of_the_index_are_handed_on(place):
    more = "--index here/ix --frames 3 --precision bf16 --engine paddle --damaged keep"
    verb, folder, *rest = arguments(asked(f"photos --model model {more}"))
    assert (verb, folder) == ("build", f"{place}/here/ix")
    wanted = "photos --frames 3 --model model --engine paddle --precision bf16 --damaged keep"
    assert rest == wanted.split()


def test_an_index_that_is_there_is_updated_and_needs_no_model(place):
    dispatch("index build photos.index photos --model model".split())
    assert arguments(asked("photos")) == ["update", f"{place}/photos.index", "--source", "0", "--quiet"]
    (place / "more").mkdir()
    assert arguments(asked("more --index photos.index"))[:3] == ["build", f"{place}/photos.index", "more"]


def test_a_folder_may_have_the_name_of_an_option(place):
    (place / "photos").rename(place / "-photos")
    assert arguments(asked("--model model -- -photos"))[:3] == ["build", f"{place}/-photos.index", "./-photos"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("photos", "photos.index is to be made, and no model is named; give --model M .*ernie-vil2 demo` trains"),
        ("photos --model nowhere", "nowhere: there is no model; correct --model"),
        ("nowhere --model model", "no such file or folder"),
        ("photos/0/0.png --model model", "is one picture; give the folder"),
        ("photos --index model --model model", "model holds .* and is no index; give the name of a new folder"),
        ("photos --index model/config.json --model model", "is no folder|is a file"),
        ("photos --frames often --model model", "write `every 2 s`"),
        ("scenes:split=test --model model", "no folder beside which an index can be; give --index DIR"),
        ("there.index", "is an index, and no folder of pictures; see it with .* serve there.index"),
        ("photos --index there.index --model other", "another model than the one of"),
        ("photos --index there.index --precision bf16", "was encoded in fp32, not in bf16"),
        ("photos --index there.index --frames 3", "is in this index with other options"),
    ],
)
def test_what_cannot_be_is_one_sentence_before_a_model_is_loaded(place, monkeypatch, line, said):
    if "there.index" in line:
        dispatch("index build there.index photos --model model".split())
    monkeypatch.setattr("ernie_vil2.load", None)
    before = sorted(os.listdir())
    with pytest.raises(UserError, match=said) as caught:
        asked(line)
    assert "\n" not in str(caught.value) and sorted(os.listdir()) == before
