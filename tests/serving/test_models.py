"""The models of a server: one for all indexes of it, the one that is right, and none for ever that nobody has."""

import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from ernie_vil2.errors import CheckpointError, ConfigError
from ernie_vil2.inference.identity import model_digest
from ernie_vil2.serving.encoding import models as module
from ernie_vil2.serving.encoding.models import Models
from ernie_vil2.serving.settings import ServerSettings
from tests.serving.conftest import WIDTH, make_index, write_model
from tests.serving.running import running, until


@pytest.fixture
def given(tmp_path):
    return [write_model(tmp_path / f"model{seed}", seed) for seed in range(4)]


def moment(name, model, path=None, width=WIDTH):
    record = {"digest": model_digest(model) if model else "", "path": str(path or model)}
    manifest = SimpleNamespace(model=record, width=width)
    return SimpleNamespace(name=name, digest=record["digest"], manifest=manifest)


def of(model=None):
    return Models(ServerSettings(Path("."), model=None if model is None else str(model)))


def test_a_model_is_loaded_once_whoever_asks(given, monkeypatch):
    models, opened, found = of(), [], []
    really = module.opened_model
    monkeypatch.setattr(module, "opened_model", lambda *what: opened.append(what) or really(*what))
    names = ["a", "b", "a", "c"]
    threads = [
        threading.Thread(target=lambda name=name: found.append(models.load(moment(name, given[0])))) for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(opened) == 1 and len(set(map(id, found))) == 1 and len(found) == len(names)


def test_models_that_no_index_has_any_more_go_but_the_last_one(given):
    models = of()
    for model in given:
        models.load(moment("a", model))
    assert len(models.held()) == 2
    assert (
        models.get(moment("a", given[3]))
        and models.get(moment("a", given[2]))
        and not models.get(moment("a", given[0]))
    )
    models.load(moment("b", given[0]))
    models.load(moment("a", given[1]))
    assert models.get(moment("b", given[0]))


def test_a_model_that_was_moved_is_found_where_it_is_said_to_be(given, tmp_path):
    gone = moment("a", given[0], tmp_path / "gone")
    with pytest.raises(CheckpointError, match="is not there"):
        of().load(gone)
    assert of(given[0]).load(gone).width == WIDTH
    with pytest.raises(CheckpointError, match="another model"):
        of(given[1]).load(gone)
    models = of(given[0])  # and is no reason to take another index's model for it
    assert models.load(moment("b", given[1])) is not models.load(gone)


def test_what_cannot_be_loaded_says_why_and_is_tried_again_later(given, tmp_path, monkeypatch):
    models, place = of(), tmp_path / "later"
    wanted = moment("a", given[0], place)
    for _ in range(2):
        with pytest.raises(CheckpointError, match="later: is not there"):
            models.load(wanted)
    shutil.copytree(given[0], place)
    with pytest.raises(CheckpointError):  # a moment ago it was not
        models.load(wanted)
    monkeypatch.setattr(module, "FAILED", 0.0)
    assert models.load(wanted).width == WIDTH
    with pytest.raises(ConfigError, match="does not say which model"):
        models.load(moment("b", None))
    with pytest.raises(CheckpointError, match="have 32 numbers and the index's 7"):
        models.load(moment("c", given[1], width=7))


def test_an_index_that_changes_its_model_is_taken_up(tmp_path, given, random_image, image_bytes):
    """Its uploads are of the old model, and are asked for again; the vectors of texts are the new model's."""
    folder = tmp_path / "indexes" / "photos"
    make_index(folder, tmp_path, given[0])
    make_index(tmp_path / "new", tmp_path, given[1])
    with running(tmp_path / "indexes") as server:
        picture = image_bytes(random_image(40, 50))
        sent = {"content-type": "image/png"}
        token = server.ask("POST", "/api/indexes/photos/uploads", picture, **sent).json["upload"]
        before = server.ask("POST", "/api/indexes/photos/embeddings", {"items": [{"text": "一只猫"}]}).json
        folder.rename(tmp_path / "old")
        (tmp_path / "new").rename(folder)
        digest = model_digest(given[1])
        until(lambda: server.get("/api/indexes/photos").json["model"]["digest"] == digest)
        after = server.ask("POST", "/api/indexes/photos/embeddings", {"items": [{"text": "一只猫"}]}).json
        assert after != before
        refused = server.search("photos", parts=[{"upload": token}])
        assert (refused.status, refused.error[0]) == (409, "upload_unknown")
        token = server.ask("POST", "/api/indexes/photos/uploads", picture, **sent).json["upload"]
        assert server.search("photos", parts=[{"upload": token}], k=3).status == 200
