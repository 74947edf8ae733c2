"""The files of the page: what is served, where it takes anything from, and that it says all in both languages."""

import json
import re
from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ernie_vil2.serving.api import page
from ernie_vil2.serving.faults import add_faults
from ernie_vil2.serving.telemetry.metrics import Metrics

FILES = {path.relative_to(page.FOLDER).as_posix(): path for path in page.FOLDER.rglob("*") if path.is_file()}
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in FILES.items()}
SCRIPTS = {name: text for name, text in TEXTS.items() if name.endswith(".js")}
STYLES = {name: text for name, text in TEXTS.items() if name.endswith(".css")}
WORDS = {name: json.loads(text) for name, text in TEXTS.items() if name.endswith(".json")}
SETS = sorted({name.rpartition("_")[0] for name in WORDS})
KEY = r"[a-z_]+(?:\.[a-z_0-9]+)*"


@pytest.fixture(scope="module")
def client():
    app = FastAPI()
    app.state.services = SimpleNamespace(metrics=Metrics())
    add_faults(app)
    app.include_router(page.router)
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


# What is served


def test_every_file_of_the_page_is_served_as_what_it_is(client):
    for name, path in FILES.items():
        answer = client.get(f"/static/{name}")
        assert (answer.status_code, answer.content) == (200, path.read_bytes()), name
        assert answer.headers["content-type"] == page.MEDIA_TYPES[path.suffix]
    assert client.get("/").content == FILES["index.html"].read_bytes()


def test_what_the_browser_has_is_not_sent_again(client):
    tag = client.get("/static/main.js").headers["etag"]
    answer = client.get("/static/main.js", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert client.get("/static/main.js", headers={"If-None-Match": '"other"'}).status_code == 200
    assert client.head("/").status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "../api/page.py",
        "%2e%2e/api/page.py",
        "..%2f..%2fapp.py",
        "/etc/passwd",
        "core",
        "core/",
        "",
        "main.js%00",
        "MAIN.JS",
    ],
)
def test_nothing_else_is(client, name):
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 404 and answer.json()["error"]["code"] == "no_page"


# Where it takes anything from


def test_what_a_file_asks_for_is_there():
    for name, text in TEXTS.items():
        for asked in re.findall(r"""["'(]/static/([\w./-]+)["')]""", text):
            assert asked in FILES, f"{name} asks for {asked}"
    for name, text in SCRIPTS.items():
        for asked in re.findall(r'(?:from|import) "(\.[^"]+)"', text):
            assert (FILES[name].parent / asked).is_file(), f"{name} imports {asked}"


def test_what_is_imported_is_used_and_there():
    for name, text in SCRIPTS.items():
        for names, asked in re.findall(r'^import \{([^}]*)\} from "(\.[^"]+)"', text, re.MULTILINE):
            whole = (FILES[name].parent / asked).read_text(encoding="utf-8")
            for one in names.replace("\n", " ").split(","):
                given, _, own = one.strip().partition(" as ")
                if given:
                    assert re.search(rf"export (?:async )?(?:function|const|let|class) {given}\b", whole), (
                        f"{name}: {given}"
                    )
                    assert len(re.findall(rf"\b{own or given}\b", text)) > 1, f"{name} does not use {given}"


def test_every_file_is_asked_for():
    asked = " ".join(TEXTS.values())
    for name in [*SCRIPTS, *STYLES]:
        assert f"/{name.rpartition('/')[2]}" in asked, name


def test_nothing_comes_from_elsewhere():
    for name, text in TEXTS.items():
        addresses = set(re.findall(r"(?:https?:)?//[\w-]+\.[\w.-]+", text))
        assert addresses <= {"http://www.w3.org"}, name


def test_the_policy_of_the_page_is_kept():
    for name, text in SCRIPTS.items():
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|cssText", text
        ), name
    front = TEXTS["index.html"]
    assert not re.search(r"\sstyle=|<style|\son\w+=|<script(?![^>]*src=)", front)


def test_a_file_is_one_idea():
    lengths = {name: len(text.splitlines()) for name, text in {**SCRIPTS, **STYLES}.items()}
    assert {name: lines for name, lines in lengths.items() if lines > (260 if name in SCRIPTS else 300)} == {}
    assert [
        name for name, text in [*SCRIPTS.items(), *STYLES.items()] if not re.match(r"/\*\*? ?\S|/\*\*\n", text)
    ] == []


# What it says


def holes(text):
    """The names of what is filled into a sentence."""
    texts = text.values() if isinstance(text, dict) else [text]
    return [set(re.findall(r"\{(\w+)\}", one)) for one in texts]


@pytest.mark.parametrize("name", SETS)
def test_both_languages_say_the_same(name):
    english, chinese = WORDS[f"{name}_en.json"], WORDS[f"{name}_zh.json"]
    assert list(english) == list(chinese)
    for key, text in english.items():
        assert set.union(*holes(text)) == set.union(*holes(chinese[key])), key
        assert not isinstance(text, dict) or "other" in text, key


def test_a_key_has_one_meaning():
    english = [key for name, words in WORDS.items() if name.endswith("_en.json") for key in words]
    assert len(english) == len(set(english))


def test_chinese_is_chinese():
    """Signs of a half-width kind stand between no two Chinese characters."""
    for name, words in WORDS.items():
        if name.endswith("_zh.json"):
            for key, text in words.items():
                for one in text.values() if isinstance(text, dict) else [text]:
                    assert not re.search(r"[一-鿿][,;:?!()][一-鿿]", one), f"{name}: {key}"


def test_every_key_that_is_used_has_words():
    known = {key for words in WORDS.values() for key in words}
    spoken = (
        rf"\b(?:words|label|title|placeholder|alt):\s*\[?\"({KEY})\"|\b(?:t|say)\((?:\w+, \"[\w-]+\", )?\"({KEY})\""
    )
    for name, text in SCRIPTS.items():
        used = {one or other for one, other in re.findall(spoken, text)}
        slots = {"text", "title", "placeholder", "alt"} if name == "core/dom.js" else set()
        assert used <= known | slots, f"{name}: {sorted(used - known)}"


def test_every_key_with_words_is_used():
    texts = "\n".join(SCRIPTS.values())
    made = tuple(re.findall(rf"`({KEY}\.)\$\{{", texts))
    unused = {key for words in WORDS.values() for key in words if f'"{key}"' not in texts and not key.startswith(made)}
    assert unused == set()
