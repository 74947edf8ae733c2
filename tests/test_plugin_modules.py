"""Modules of a user's own that go wrong: each is one sentence that names the module, and leaves nothing half-done."""

import argparse
import importlib
import json
import subprocess
import sys
from types import ModuleType

import pytest

from ernie_vil2 import plugins
from ernie_vil2.checkpoints.plugin_record import CODE, SYSTEM_PLUGIN, check_plugins, plugin_record
from ernie_vil2.config.losses import LOSSES
from ernie_vil2.config.model import ModelConfig
from ernie_vil2.config.towers import KINDS
from ernie_vil2.data.sources.open import BROUGHT, FILES, SUFFIXES, open_source
from ernie_vil2.errors import CheckpointError, ConfigError, DataError
from ernie_vil2.plugins import code_digest, code_digests, load_plugins, origin
from ernie_vil2.schema import FURTHER
from ernie_vil2.studies.serving.server_process import ServerProcess
from ernie_vil2.systems.registry import REGISTERED
from ernie_vil2.training.resume import changed_code
from tests.conftest import ROOT

LOSS = """
from dataclasses import dataclass
from ernie_vil2.objectives.registry import PairLoss, register_loss
@dataclass
class Loss(PairLoss):
    def __call__(self, rows, columns, positive, negative, scale):
        return rows.sum(1)
"""
SOURCE = """
from ernie_vil2.data.sources.base import Source
from ernie_vil2.data.sources.open import register_source
class Rows(Source):
    def __len__(self): return 1
    def load(self, index): return None
"""
TOWER = """
from dataclasses import dataclass
from ernie_vil2.config.tower_fields import Tower
from ernie_vil2.config.towers import TowerKind, register_tower
@dataclass
class Config(Tower):
    kind: str = "of_a_plugin"
    width: int = 4
    image_size: int = 8
"""
SYSTEM = "from ernie_vil2.systems.ernie_vil2 import ErnieVil2\nclass Mine(ErnieVil2):\n    kind = {}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty current folder; what is registered in a test is forgotten after it."""
    known = (KINDS, LOSSES, FILES, SUFFIXES, REGISTERED, plugins.ORIGINS, plugins.CODE, *FURTHER.values())
    held, brought, modules = [dict(registry) for registry in known], set(BROUGHT), set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    yield tmp_path
    for registry, before in zip(known, held, strict=True):
        for name in registry.keys() - before.keys():
            if not (registry is REGISTERED and registry[name].__module__.startswith("ernie_vil2.")):
                del registry[name]
        registry.update(before)
    BROUGHT.intersection_update(brought)
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def write(folder, name, text):
    path = folder / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def x(:\n", "SyntaxError"),
        ("\nraise RuntimeError('one\\ntwo')\n", "at bad_one.py:2: RuntimeError: 'one\\ntwo'"),
        ("import sys\nsys.exit(0)\n", "at bad_one.py:2: SystemExit: '0'"),
        ("class Own(BaseException): pass\nraise Own('words')\n", "at bad_one.py:2: Own: 'words'"),
        ("import a_library_that_is_not_there\n", "ModuleNotFoundError"),
        ("from ernie_vil2.config.load import load_run\nload_run(3)\n", "at bad_one.py:2: "),
        ("VALUE = 3\n", "registers no tower, loss, source or system"),
        (SYSTEM.format("'ernie_vil2'"), "there is a system ernie_vil2 already"),
        (SYSTEM.format("'brivl'"), "there is a system brivl already"),
        (SYSTEM.format("3"), "not 3"),
        (SYSTEM.format("'mine'") + "class Other(ErnieVil2):\n    kind = 'mine'\n", "there is a system mine already"),
        (LOSS + "register_loss('infonce', Loss)\n", "there is a loss infonce already"),
        (LOSS + "register_loss(7, Loss)\n", "not 7"),
        (LOSS + "register_loss('x', PairLoss)\n", "must be a dataclass"),
        (LOSS.replace("def __call__", "def other") + "register_loss('x', Loss)\n", "lacks __call__"),
        (LOSS + "@dataclass\nclass Bare(Loss):\n    margin: float\nregister_loss('x', Bare)\n", "margin of x must be"),
        (SOURCE + "register_source('tsv', Rows)\n", "sources of kind tsv already"),
        (SOURCE + "register_source('x', Rows, ('.tsv',))\n", "files in .tsv already"),
        (SOURCE + "register_source(3, Rows)\n", "not 3"),
        (SOURCE + "register_source('x', Rows, '.x')\n", "suffixes of x"),
        (SOURCE + "register_source('x', Rows, ('.X',))\n", "suffixes of x"),
        (SOURCE + "register_source('x', Rows, ('x',))\n", "suffixes of x"),
        (SOURCE.replace("def load", "def read") + "register_source('x', Rows)\n", "x lacks load"),
        (TOWER + "register_tower(Config)\n", "needs TowerKind"),
        (
            TOWER.replace("of_a_plugin", "vit") + "register_tower(TowerKind(Config, 'image', 'a.B'))\n",
            "kind vit already",
        ),
        (TOWER + "register_tower(TowerKind(Config, 'text', 'a.B'))\n", "lacks vocab_size, positions"),
        (TOWER + "register_tower(TowerKind(Config, 'image', 'a.B', blocks='('))\n", "blocks of of_a_plugin is no"),
        (
            TOWER + "register_tower(TowerKind(Config, 'image', 'a.B', above_blocks='['))\n",
            "above_blocks of of_a_plugin",
        ),
        (TOWER + "register_tower(TowerKind(Config, 'image', 'a.B', blocks='stage'))\n", "must have one group"),
    ],
)
def test_what_goes_wrong_in_a_module_is_one_sentence_that_names_it(folder, text, said):
    write(folder, "bad_one", text)
    registries = [dict(registry) for registry in (KINDS, LOSSES, FILES)]
    with pytest.raises(ConfigError) as caught:
        load_plugins(["bad_one"])
    sentence = str(caught.value)
    assert sentence.startswith("--plugin bad_one") and said in sentence and "\n" not in sentence
    assert registries == [dict(registry) for registry in (KINDS, LOSSES, FILES)]


def test_a_module_that_ends_the_process_does_not_end_a_command_as_done(folder):
    write(folder, "ends", "import sys\nsys.exit(0)\n")
    command = [sys.executable, "-W", "ignore", "-m", "ernie_vil2.cli", "train", "-c", "demo", "--check"]
    done = subprocess.run([*command, "--plugin", "ends"], capture_output=True, text=True, cwd=folder)
    assert (done.returncode, done.stdout) == (1, "") and done.stderr.startswith("error: --plugin ends failed")
    assert done.stderr.count("\n") == 1


def test_what_a_module_prints_is_not_in_the_output_of_a_command(folder, capsys):
    write(folder, "prints", LOSS + "print('hello')\nregister_loss('printed', Loss)\n")
    load_plugins(["prints"])
    assert capsys.readouterr() == ("", "hello\n")


def test_a_file_beside_a_plugin_takes_no_librarys_place(folder):
    write(folder, "plain_plugin_of_a_test", LOSS + "register_loss('plain', Loss)\n")
    write(folder, "a_library_that_is_not_there", "")
    load_plugins(["plain_plugin_of_a_test"])
    assert LOSSES["plain"] is sys.modules["plain_plugin_of_a_test"].Loss
    with pytest.raises(ImportError):
        __import__("a_library_that_is_not_there")


def test_a_bare_folder_takes_no_installed_plugins_place(folder, monkeypatch):
    for name in ("here/installed_one", "site/installed_one"):
        (folder / name).mkdir(parents=True)
    write(folder / "site/installed_one", "__init__", LOSS + "register_loss('installed', Loss)\n")
    monkeypatch.chdir(folder / "here")
    monkeypatch.syspath_prepend(folder / "site")
    load_plugins(["installed_one"])
    assert "installed" in LOSSES


def test_a_file_whose_name_is_that_of_an_imported_library_is_not_passed_over(folder, monkeypatch):
    write(folder, "taken_name", LOSS + "register_loss('taken_name', Loss)\n")
    library = ModuleType("taken_name")
    library.__file__ = str(folder / "elsewhere" / "taken_name.py")
    monkeypatch.setitem(sys.modules, "taken_name", library)
    with pytest.raises(ConfigError, match="has the name of a library that is imported already; rename taken_name.py"):
        load_plugins(["taken_name"])
    write(folder, "json", "VALUE = 3\n")
    with pytest.raises(ConfigError, match="rename json.py"):
        load_plugins(["json"])


@pytest.mark.parametrize(
    "text",
    [
        LOSS + "register_loss('again', Loss)\n",
        SOURCE + "register_source('again', Rows, ('.again',))\n",
        TOWER + "register_tower(TowerKind(Config, 'image', lambda config: None))\n",
        SYSTEM.format("'again'"),
    ],
)
def test_a_module_that_is_loaded_again_takes_its_own_place(folder, text):
    write(folder, "edited_one", text)
    load_plugins(["edited_one"])
    before = {**LOSSES, **FILES, **KINDS, **REGISTERED}
    importlib.reload(sys.modules["edited_one"])
    assert sum(before[name] is not known for name, known in {**LOSSES, **FILES, **KINDS, **REGISTERED}.items()) == 1


def test_the_module_to_name_again_is_the_one_that_was_named(folder):
    write(folder, "parts_of_it/losses", LOSS + "register_loss('in_parts', Loss)\n")
    write(folder, "parts_of_it/__init__", "from . import losses\n")
    load_plugins(["parts_of_it", "parts_of_it"])
    assert origin("loss", "in_parts") == "parts_of_it" and origin("system", "ernie_vil2") is None


def test_a_librarys_class_that_a_plugin_imports_first_is_not_the_plugins(folder):
    code = "from ernie_vil2.systems.cookie import Cookie\nclass Own(Cookie):\n    kind = 'own_cookie'\n"
    write(folder, "cooks", code)
    told = "from ernie_vil2.plugins import *; load_plugins(['cooks']); print(origin('system', 'cookie'))"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", told], capture_output=True, text=True, cwd=folder)
    assert done.stdout == "None\n", done.stderr


def test_the_digest_is_of_all_files_of_a_package_and_of_what_it_uses(folder):
    write(folder, "used_by_it", LOSS + "register_loss('of_another', Loss)\n")
    write(folder, "whole/__init__", "import used_by_it\nfrom .losses import Loss\n")
    write(folder, "whole/losses", LOSS + "from . import helper\nregister_loss('whole', Loss)\n")
    write(folder, "whole/helper", "VALUE = 1\n")
    write(folder, "not_used", LOSS + "register_loss('not_used', Loss)\n")
    load_plugins(["not_used", "used_by_it", "whole"])
    found = [code_digest("loss", "whole")]
    for name in ("whole/helper", "whole/losses", "whole/__init__", "used_by_it"):
        with open(folder / f"{name}.py", "a") as file:
            file.write("# another\n")
        found.append(code_digest("loss", "whole"))
    assert "" not in found and len(set(found)) == 5
    write(folder, "not_used", "# another\n")
    assert code_digest("loss", "whole") == found[-1] and code_digest("loss", "infonce") == ""


def test_a_file_that_goes_while_it_is_read_fails_nothing(folder, monkeypatch):
    write(folder, "vanishing", LOSS + "register_loss('vanishing', Loss)\n")
    load_plugins(["vanishing"])
    before = code_digest("loss", "vanishing")
    monkeypatch.setattr(plugins, "files_of", lambda top: [(top, folder / "gone.py")])
    assert code_digest("loss", "vanishing") not in ("", before)


def test_a_resume_tells_of_code_that_has_changed(folder):
    write(folder, "changing", LOSS + "register_loss('changing', Loss)\n")
    load_plugins(["changing"])
    then = code_digests()
    assert changed_code(then, then, "step-1") == [] == changed_code(then, None, "step-1")
    write(folder, "changing", LOSS)
    assert "the code of --plugin changing has changed since step-1" in changed_code(code_digests(), then, "step-1")[0]


def test_a_model_of_a_system_that_is_not_given_names_the_module(tmp_path):
    content, extra = {"system": "resonant"}, {"plugins": ["my_system"], SYSTEM_PLUGIN: "my_system"}
    with pytest.raises(CheckpointError, match="has the system 'resonant' and was made with --plugin my_system"):
        check_plugins(tmp_path, content, extra)
    plugins.ORIGINS["system", "resonant"], plugins.CODE["system", "resonant"] = plugins.MAIN, set()
    check_plugins(tmp_path, content, extra)


def test_a_model_of_other_code_is_told_of_once(folder, caplog):
    write(folder, "made_it", TOWER + "register_tower(TowerKind(Config, 'image', lambda config: None))\n")
    load_plugins(["made_it"])
    config = ModelConfig.from_dict({"image_tower": {"kind": "of_a_plugin"}, "text_tower": None, "pixels": {"size": 8}})
    extra = plugin_record(config)
    assert extra["plugins"] == ["made_it"] == list(extra[CODE])
    check_plugins(folder, config.to_dict(), extra)
    assert not caplog.messages
    write(folder, "made_it", TOWER)
    for _ in range(2):
        check_plugins(folder, config.to_dict(), extra)
    assert len(caplog.messages) == 1 and "another code of --plugin made_it" in caplog.messages[0]
    for damaged in ({CODE: 3}, {CODE: {"made_it": [3]}}, 3):
        check_plugins(folder, {}, damaged)


def test_a_file_of_a_plugins_source_says_what_would_open_it(tmp_path):
    write(tmp_path, "rows", "")
    with pytest.raises(DataError, match="a source of your own is known with --plugin MODULE"):
        open_source(tmp_path / "rows.py")


def test_the_server_of_a_load_is_given_the_plugins(tmp_path):
    settings = json.loads(json.dumps({"folder": str(tmp_path), "port": 0}))
    write(tmp_path, "of_the_server", "raise RuntimeError('seen by the server')\n")
    with pytest.raises(Exception, match="seen by the server"):
        ServerProcess(settings, tmp_path / "log", ["of_the_server"])


def test_every_command_that_opens_a_model_takes_a_plugin():
    from ernie_vil2.cli.arguments import model_path
    from ernie_vil2.cli.main import modules, verb_module

    lacking = []
    for verb in modules():
        left = [verb_module(verb).parser()] if hasattr(verb_module(verb), "parser") else []
        while left:
            parser = left.pop()
            for action in parser._actions:
                if isinstance(action, argparse._SubParsersAction):
                    left += action.choices.values()
            opens = any(action.type is model_path for action in parser._actions)
            if opens and "--plugin" not in parser._option_string_actions:
                lacking.append(parser.prog)
    assert lacking == ["ernie-vil2 bench encode"], "which the page of plugins says"
    assert "`bench encode`" in (ROOT / "docs/extending.md").read_text(encoding="utf-8")
