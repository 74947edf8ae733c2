"""Downloads of a selection over HTTP: prepared, fetched for a while, and stopped with whoever fetches."""

import http.client
import io
import os
import zipfile
from urllib.parse import urlsplit

import pytest

from ernie_vil2.serving.media.downloads import exports
from tests.serving.media.conftest import colours, encoded
from tests.serving.running import running, until


@pytest.fixture
def server(shown, photos, tmp_path):
    """A Running of the photos. ids: {key: id}."""
    shown.scan(photos)
    with running(shown.place, cache=tmp_path / "cache") as found:
        found.ids = shown.ids()
        yield found


def export(server, language="en", index="index", **asked):
    return server.ask("POST", f"/api/indexes/{index}/exports", asked, language)


def fetched(server, address):
    return server.ask("GET", address)


def test_a_selection_is_fetched_as_often_as_it_is_asked_for(server, photos):
    told = export(server, ids=[server.ids["b/0.jpg"], server.ids["b/2.jpg"], 10**6]).json
    assert (told["count"], told["missing"]) == (2, 1)
    assert told["bytes"] == sum((photos / "b" / name).stat().st_size for name in ("0.jpg", "2.jpg"))
    for _ in range(2):
        reply = fetched(server, told["download"])
        assert reply.headers["content-type"] == "application/zip"
        assert reply.headers["content-disposition"] == 'attachment; filename="index.zip"'
        with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
            assert archive.testzip() is None and archive.read("0.jpg") == (photos / "b/0.jpg").read_bytes()


def test_paths_are_told_only_where_the_server_shows_them(server, shown, photos, tmp_path):
    wanted = [server.ids["b/0.jpg"], server.ids["clip.mp4@0.0s"], server.ids["clip.mp4@2.0s"], 10**6]
    told = export(server, ids=wanted, form="paths").json
    assert told == {"paths": [str(photos / "b/0.jpg"), str(photos / "clip.mp4")], "missing": 1}
    with running(shown.place, cache=tmp_path / "cache", public=True) as public:
        reply = export(public, "zh", ids=wanted, form="paths")
        assert reply.status == 403 and reply.error[0] == "paths_hidden" and "路径" in reply.error[1]
        assert str(photos).encode() not in export(public, ids=wanted).body


OTHERS = [
    {"ids": []},
    {"ids": [1] * 2001},
    {"ids": [-1]},
    {"ids": ["1"]},
    {"ids": [2**63]},
    {"ids": [1.5]},
    {"ids": [1], "form": "tar"},
    {"ids": [1], "path": "/etc/passwd"},
    {},
]


def test_nothing_else_can_be_asked(server):
    assert [export(server, **asked).status for asked in OTHERS] == [422] * len(OTHERS)


def test_a_download_expires_and_is_of_one_index(server, monkeypatch):
    address = export(server, ids=[server.ids["b/0.jpg"]]).json["download"]
    assert fetched(server, address[:-1]).error[0] == "no_download"
    assert fetched(server, address.replace("/index/", "/other/")).status == 404
    monkeypatch.setattr(exports, "KEPT", -1.0)
    address = export(server, ids=[server.ids["b/0.jpg"]]).json["download"]
    assert fetched(server, address).error[0] == "no_download"


def test_only_so_many_downloads_are_kept(server, monkeypatch):
    monkeypatch.setattr(exports, "MOST_KEPT", 2)
    addresses = [export(server, ids=[server.ids["b/0.jpg"]]).json["download"] for _ in range(3)]
    assert [fetched(server, address).status for address in addresses] == [404, 200, 200]


def test_only_so_many_are_sent_at_once_and_one_that_nobody_reads_ends(server, photos, shown, monkeypatch):
    (photos / "large.png").write_bytes(encoded(colours(1), "PNG") + os.urandom(16 << 20))
    shown.scan(photos)
    number = shown.ids()["large.png"]
    until(lambda: server.get(f"/api/indexes/index/pictures/{number}").status == 200)
    monkeypatch.setattr(exports, "MOST_SENT", 1)
    address = export(server, ids=[number]).json["download"]
    connection = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=20)
    connection.request("GET", address)
    connection.getresponse().read(100)
    reply = fetched(server, address)
    assert reply.status == 429 and reply.headers["retry-after"]
    connection.close()
    until(lambda: fetched(server, address).status == 200)


def test_files_that_went_after_they_were_chosen_are_named(server, photos):
    told = export(server, ids=[server.ids["b/0.jpg"], server.ids["b/2.jpg"]]).json
    (photos / "b/2.jpg").unlink()
    with zipfile.ZipFile(io.BytesIO(fetched(server, told["download"]).body)) as archive:
        assert archive.namelist() == ["0.jpg", "missing.txt"] and archive.read("missing.txt").startswith(b"2.jpg: ")
