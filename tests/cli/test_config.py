"""`config`: the recipes that come with the project, found by name wherever a command runs, and printed to be edited."""

import re
import shutil

import pytest

from ernie_vil2.cli import config
from ernie_vil2.config import recipes
from ernie_vil2.config.load import load_run
from ernie_vil2.errors import ConfigError
from tests.conftest import ROOT


def test_the_list_has_every_recipe_with_what_it_is_for(capsys):
    config.main([])
    lines = capsys.readouterr().out.splitlines()
    names = {path.relative_to(ROOT / "configs").with_suffix("").as_posix() for path in ROOT.glob("configs/**/*.yaml")}
    assert {line.split()[0] for line in lines[:-1]} == names and "demo" in names and "finetune/own_pairs" in names
    assert all(len(line.split()) > 3 for line in lines[:-1])


@pytest.mark.parametrize("name", ["demo", "demo.yaml", "configs/demo", "configs/demo.yaml"])
def test_a_recipe_is_found_by_its_name_in_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_run(name) == load_run(ROOT / "configs/demo.yaml")


def test_a_printed_recipe_is_the_file_and_can_be_used_as_a_copy(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config.main(["finetune/own_pairs"])
    text = capsys.readouterr().out
    assert text == (ROOT / "configs/finetune/own_pairs.yaml").read_text(encoding="utf-8")
    (tmp_path / "my.yaml").write_text(config_without_model(text), encoding="utf-8")
    assert load_run("my.yaml").optimizer.layer_decay == 0.8


def config_without_model(text):
    """The recipe without the weights that it starts from, which are not there."""
    return text.replace("init: {model: model}", "init: {model: null}")


@pytest.mark.parametrize("name", ["demo", "demo.yaml", "./demo", "configs/demo.yaml"])
def test_a_recipe_is_printed_into_a_file_of_its_own_name(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()  # as the shell does for `ernie-vil2 config demo > demo`, before the command runs
    config.main([name])
    assert capsys.readouterr().out == (ROOT / "configs/demo.yaml").read_text(encoding="utf-8")


def test_what_is_no_recipe_is_not_printed(tmp_path):
    (tmp_path / "mine.yaml").write_text("seed: 7\n")
    for name in (str(tmp_path / "mine.yaml"), "../demo", "finetune/../demo", "finetune", ".", "", "DEMOO", "x" * 5000):
        with pytest.raises(ConfigError, match="is no recipe; "):
            config.main([name])
    with pytest.raises(ConfigError, match="'' is neither a file nor a recipe"):
        load_run("")


def test_a_file_of_that_name_counts_before_a_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").write_text("seed: 7\noutput: mine\n")
    with pytest.raises(ConfigError, match="^demo: "):  # it has no data.train, which the recipe has
        load_run("demo")


@pytest.mark.parametrize("name, told", [("demoo", "did you mean demo?"), ("qqqq", "ernie-vil2 config lists")])
def test_a_wrong_name_is_told_with_the_nearest(name, told):
    with pytest.raises(ConfigError, match=f"{name}' is neither a file nor a recipe; .*{re.escape(told)}"):
        load_run(name)


def test_recipes_of_an_installed_package_lie_in_it(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "configs", tmp_path / "ernie_vil2/configs")
    monkeypatch.setattr(recipes, "PACKAGE", tmp_path / "ernie_vil2")
    assert recipes.recipe_path("demo") == tmp_path / "ernie_vil2/configs/demo.yaml"
