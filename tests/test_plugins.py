"""Modules of a user's own: named by the user alone, and the page that explains them holds as it is printed."""

import json
import re
import subprocess
import sys

import pytest

from ernie_vil2.errors import ConfigError
from ernie_vil2.plugins import load_plugins
from tests.conftest import ROOT

PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
GIVEN = ["--plugin", "my_tower", "--plugin", "my_loss", "--plugin", "my_parquet"]
LOADED = """
import json, sys
import ernie_vil2
ernie_vil2.load_plugins(["my_tower"])
from ernie_vil2.checkpoints.release_layout import asked_shapes, tower_shapes
from ernie_vil2.config.tower_fields import ImageTowerConfig
from ernie_vil2.config.towers import KINDS
model = ernie_vil2.load(sys.argv[1], engine="paddle")
vit = ImageTowerConfig(width=64, depth=2, heads=4)
told = {"visual." + key: shape for key, shape in asked_shapes("vit", "", vit).items()}
print(json.dumps({
    "kind": model.config.image_tower.kind,
    "keys": len(tower_shapes(model.config.image_tower)) == len(model.network.visual.state_dict()),
    "shapes": told == tower_shapes(vit),
}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the files of the page."""
    place = tmp_path_factory.mktemp("own")
    for name, text in re.findall(
        r"^```(?:python|yaml)\n# (\w+\.(?:py|yaml))\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL
    ):
        (place / name).write_text(text, encoding="utf-8")
    run(place, "my_pairs.py")
    command(place, "data", "vocab", "train.pq", "vocab.txt", "--size", "600", "--plugin", "my_parquet")
    return place


def run(place, *arguments, status=0):
    done = subprocess.run([sys.executable, "-W", "ignore", *arguments], cwd=place, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def command(place, *arguments, status=0):
    return run(place, "-m", "ernie_vil2.cli", *arguments, status=status)


def test_a_tower_a_loss_and_a_source_are_trained_and_loaded_again(folder):
    command(folder, "train", "-c", "own.yaml", *GIVEN, "-o", "train.steps=3", "-o", "output=three")
    config = next(folder.glob("three/checkpoints/*/config.json"))
    assert json.loads(config.read_text(encoding="utf-8"))["extra"]["plugins"] == ["my_tower"]
    found = json.loads(re.search(r"\{.*\}", run(folder, "-c", LOADED, "three"))[0])
    assert found == {"kind": "convnext", "keys": True, "shapes": True}
    told = command(folder, "encode", "--model", "three", "--input", "valid.pq", *GIVEN[-2:], "--output", "x", status=1)
    assert "made with --plugin my_tower" in told.splitlines()[-1]
    content = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps({**content, "system": "mine", "extra": {"plugins": ["my_tower", "my_system"]}}))
    told = command(
        folder, "encode", "--model", "three", "--input", "valid.pq", *GIVEN, "--output", "x", status=1
    ).splitlines()[-1]
    assert "is of the system 'mine' and was made with --plugin my_system;" in told


@pytest.mark.slow
def test_the_commands_of_the_page_run_in_order(folder):
    lines = re.search(r"^```bash\npython my_pairs.py\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1].splitlines()
    assert len(lines) == 5
    for line in lines:
        word, *arguments = line.split()
        assert word == "ernie-vil2"
        if arguments[:2] != ["data", "vocab"]:
            command(folder, *arguments)
    assert "(1, 32)" in run(folder, "my_use.py")


@pytest.mark.parametrize(
    "changes, said",
    [
        ([], "model.image_tower.kind is 'convnext'"),
        (["--plugin", "my_tower"], "objective.loss is 'margin'"),
        (
            ["--plugin", "my_tower", "--plugin", "my_loss", "-o", "objective.settings.margn=1"],
            "objective.settings.margin",
        ),
        ([*GIVEN, "-o", "objective.negatives.kind=queue"], "no use for objective.negatives"),
        (["--plugin", "broken"], "--plugin broken failed at broken.py:2: ZeroDivisionError"),
    ],
)
def test_what_is_not_given_or_wrong_is_one_sentence(folder, changes, said):
    (folder / "broken.py").write_text("\n1 / 0\n")
    last = command(folder, "train", "-c", "own.yaml", "--check", *changes, status=1).splitlines()[-1]
    assert last.startswith("error: ") and said in last, last


@pytest.mark.parametrize("name", ["../my_tower", "my_tower.py/..", "", ".my_tower", "a..b", "/tmp/x", "a b", "os;x"])
def test_what_is_no_dotted_name_is_refused(name):
    with pytest.raises(ConfigError, match="is not the name of a Python module"):
        load_plugins([name])


def test_a_file_beside_a_plugin_takes_no_librarys_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    (tmp_path / "plain_plugin_of_a_test.py").write_text("VALUE = 3\n")
    (tmp_path / "a_library_that_is_not_there.py").write_text("")
    load_plugins(["plain_plugin_of_a_test"])
    assert sys.modules.pop("plain_plugin_of_a_test").VALUE == 3
    with pytest.raises(ImportError):
        __import__("a_library_that_is_not_there")


def test_a_folder_beside_it_takes_no_installed_plugins_place_and_alone_brings_nothing(tmp_path, monkeypatch):
    for name in ("here/installed_plugin_of_a_test", "here/pictures_of_a_test", "site/installed_plugin_of_a_test"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "site/installed_plugin_of_a_test/__init__.py").write_text("VALUE = 5\n")
    (tmp_path / "here/pictures_of_a_test/inside.py").write_text("VALUE = 7\n")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.syspath_prepend(tmp_path / "site")
    load_plugins(["installed_plugin_of_a_test", "pictures_of_a_test.inside"])
    assert sys.modules.pop("installed_plugin_of_a_test").VALUE == 5
    assert sys.modules.pop("pictures_of_a_test.inside").VALUE == 7
    del sys.modules["pictures_of_a_test"]
    with pytest.raises(ConfigError, match="a folder without __init__.py"):
        load_plugins(["pictures_of_a_test"])
    del sys.modules["pictures_of_a_test"]


def test_a_plugin_that_ends_the_process_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    (tmp_path / "leaving_plugin_of_a_test.py").write_text("import sys\n\nsys.exit(0)\n")
    with pytest.raises(ConfigError, match="failed at leaving_plugin_of_a_test.py:3: SystemExit"):
        load_plugins(["leaving_plugin_of_a_test"])


def test_a_plugin_with_the_name_of_a_module_of_python_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "antigravity.py").write_text("")
    with pytest.raises(ConfigError, match="rename antigravity.py"):
        load_plugins(["antigravity"])
