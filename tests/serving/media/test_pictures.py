"""Pictures over HTTP: what is known of them, thumbnails that outlive their files, and files byte by byte."""

import http.client
import io
import itertools
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import numpy as np
import pytest
import simplejpeg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ernie_vil2.serving.media import thumbnails
from tests.serving.media.conftest import colours, encoded
from tests.serving.running import running, until


@pytest.fixture
def server(shown, photos, table, vectors, tmp_path):
    """A Running of an index of everything, with a cache of its own. ids: {key: id}; rows: {key: record}."""
    shown.scan(photos, tmp_path / "rows.jsonl")
    shown.scan(places=[vectors])
    with running(shown.place, cache=tmp_path / "cache") as found:
        found.rows = shown.rows()
        found.ids = {key: row["id"] for key, row in found.rows.items()}
        yield found


def place(server, key, what=""):
    number = server.ids[key] if isinstance(key, str) else key
    return f"/api/indexes/index/pictures/{number}{what}"


def ask(server, key, what, method="GET", **headers):
    return server.ask(
        method, place(server, key, what), **{name.replace("_", "-"): one for name, one in headers.items()}
    )


def thumbnail(server, key, size=320, **headers):
    return ask(server, key, f"/thumbnail?size={size}", **headers)


def original(server, key, method="GET", **headers):
    return ask(server, key, "/original", method, **headers)


def test_a_picture_has_all_of_its_texts(shown, tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(colours(1), "PNG"))
    (tmp_path / "rows.tsv").write_text("image\ttext\ttags\na.png\t一只猫\tred\na.png\t两只猫\tcat\n", "utf-8")
    shown.scan(tmp_path / "rows.tsv")
    with running(shown.place, cache=tmp_path / "cache") as server:
        (hit,) = server.search("index").json["hits"]
        record = server.get(f"/api/indexes/index/pictures/{hit['id']}").json
    assert [sorted(record["texts"][:2]), sorted(record["texts"][2:])] == [["一只猫", "两只猫"], ["cat", "red"]]
    assert {name: record[name] for name in hit} == hit


def test_what_is_not_there_is_told_in_both_languages(server):
    for what in ("", "/thumbnail", "/original"):
        reply = server.get(place(server, 10**9, what), "zh-CN")
        assert reply.status == 404 and reply.error[0] == "no_picture" and "图片" in reply.error[1]
        assert server.get(place(server, 2**63, what)).status == 422
    assert thumbnail(server, "v1").error[0] == original(server, "v1").error[0] == "picture_vector"
    assert thumbnail(server, "b/0.jpg", 161).status == 422


def test_addresses_are_told_of_what_is_there_alone(server):
    for hit in server.search("index", k=60).json["hits"]:
        kind = {"v": "vector", "r": "row"}.get(hit["key"][0] if hit["path"] is None else "", "file")
        assert (hit["thumbnail"] is None) == (hit["original"] is None) == (kind == "vector"), hit
        for address in filter(None, (hit["thumbnail"], hit["original"])):
            assert server.get(address).status == 200, hit


def test_a_drawn_row_is_had_as_a_file(shown, tmp_path):
    shown.scan("scenes:split=test,size=2,image_size=48")
    with running(shown.place, cache=tmp_path / "cache") as server:
        hit = server.search("index").json["hits"][0]
        reply = server.get(hit["original"])
    assert reply.headers["content-type"] == "image/png"
    assert np.array_equal(np.array(Image.open(io.BytesIO(reply.body))), shown.picture(hit["key"]))


def test_thumbnails_of_files_frames_and_rows(server):
    for key, size in itertools.product(["b/0.jpg", "clip.mp4@2.0s", "row 3"], (160, 320, 640)):
        reply = thumbnail(server, key, size)
        pixels, row = simplejpeg.decode_jpeg(reply.body), server.rows[key]
        assert reply.status == 200 and reply.headers["content-type"] == "image/jpeg"
        assert reply.headers["cache-control"].startswith("private")
        assert pixels.shape[:2] == (row["height"], row["width"])
        again = thumbnail(server, key, size, if_none_match=reply.headers["etag"])
        assert (again.status, again.body) == (304, b"")


def test_a_thumbnail_outlives_its_file_and_is_found_where_that_has_moved(server, photos, monkeypatch):
    first = thumbnail(server, "b/0.jpg")
    shutil.move(photos / "b", photos / "elsewhere")
    assert thumbnail(server, "b/0.jpg").body == first.body
    assert thumbnail(server, "b/0.jpg", 160).status == 200  # another size is better than none
    assert thumbnail(server, "b/2.jpg").error[0] == "picture_missing"


def test_an_edited_picture_keeps_the_thumbnail_of_what_was_indexed(server, photos):
    first = thumbnail(server, "b/0.jpg")
    for name in ("0.jpg", "2.jpg"):
        (photos / "b" / name).write_bytes(encoded(colours(7), "JPEG"))
    assert thumbnail(server, "b/0.jpg").body == first.body
    assert thumbnail(server, "b/2.jpg").error[0] == "picture_changed"
    assert original(server, "b/0.jpg").error[0] == "picture_changed"


def test_a_copy_has_the_thumbnail_of_the_first(server, photos, shown, monkeypatch):
    thumbnail(server, "b/0.jpg")
    shutil.copy(photos / "b/0.jpg", photos / "copy.jpg")
    shown.scan(photos)
    monkeypatch.setattr(thumbnails, "thumbnail", lambda *any: pytest.fail("it was made again"))
    number = shown.ids()["copy.jpg"]
    until(lambda: server.get(place(server, number)).status == 200)
    assert thumbnail(server, number).status == 200


def test_a_thumbnail_is_made_once_however_many_ask(server, monkeypatch):
    made, asked, going, real = [], [], threading.Event(), thumbnails.thumbnail
    jpeg = server.services.thumbnails.jpeg
    monkeypatch.setattr(server.services.thumbnails, "jpeg", lambda *given: asked.append(1) or jpeg(*given))

    def slow(*given):
        made.append(1)
        assert going.wait(20)
        return real(*given)

    monkeypatch.setattr(thumbnails, "thumbnail", slow)
    with ThreadPoolExecutor(8) as pool:
        replies = [pool.submit(thumbnail, server, "b/4.jpg") for _ in range(8)]
        until(lambda: made and len(asked) == 8)
        going.set()
        bodies = {reply.result().body for reply in replies}
    assert len(made) == 1 and len(bodies) == 1 and bodies.pop()[:2] == b"\xff\xd8"


def test_a_damaged_or_foreign_file_in_the_cache_is_never_sent(server, tmp_path):
    first = thumbnail(server, "b/0.jpg")
    (kept,) = (tmp_path / "cache").rglob("*.jpg")
    for content in (b"", b"x" * 4000, encoded(colours(2), "JPEG")):
        kept.write_bytes(content)
        assert thumbnail(server, "b/0.jpg").body == first.body == kept.read_bytes()


def test_a_picture_that_cannot_be_decoded_is_told(server, monkeypatch):
    real = thumbnails.thumbnail
    monkeypatch.setattr(thumbnails, "thumbnail", lambda picture, *given: real(b"no picture", *given))
    assert thumbnail(server, "b/0.jpg").error[0] == "picture_unreadable"


def test_originals_are_the_bytes_of_the_files(server, photos, table):
    for key, row in server.rows.items():
        if row["path"]:
            wanted = open(os.path.join(os.fsencode(photos), row["path"]), "rb").read()
            assert original(server, key).body == wanted
    assert {key: original(server, key).body for key in table} == table


def test_headers_of_originals(server):
    reply = original(server, next(key for key in server.ids if "odd" in key))
    assert reply.headers["content-type"] == "image/png" and reply.headers["content-disposition"].startswith("inline; ")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in reply.headers["content-security-policy"]
    assert original(server, "clip.mp4@0.0s").headers["content-type"] == "video/mp4"
    assert original(server, "row 1").headers["content-disposition"] == 'inline; filename="row 1.png"'


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.integers(0, 1200), last=st.integers(0, 1200) | st.just(""))
def test_ranges_are_slices(server, photos, first, last):
    data = (photos / "b/0.jpg").read_bytes()
    reply = original(server, "b/0.jpg", range=f"bytes={first}-{last}")
    if last != "" and last < first:
        assert (reply.status, reply.body) == (200, data)
    elif first >= len(data):
        assert (reply.status, reply.headers["content-range"]) == (416, f"bytes */{len(data)}")
    else:
        wanted = data[first:] if last == "" else data[first : last + 1]
        assert (reply.status, reply.body) == (206, wanted)
        assert reply.headers["content-range"] == f"bytes {first}-{first + len(wanted) - 1}/{len(data)}"


def test_a_range_is_of_the_file_that_its_first_part_was_of(server, photos):
    data, whole = (photos / "b/0.jpg").read_bytes(), original(server, "b/0.jpg")
    tag, changed = whole.headers["etag"], whole.headers["last-modified"]
    for condition, status in (
        (tag, 206),
        (changed, 206),
        ('"other"', 200),
        ("Fri, 01 Jan 2010 00:00:00 GMT", 200),
        ("x", 200),
    ):
        reply = original(server, "b/0.jpg", range="bytes=5-9", if_range=condition)
        assert (reply.status, reply.body) == (status, data[5:10] if status == 206 else data), condition
    assert original(server, "b/0.jpg", range="bytes=0-1,4-5").status == 416
    assert original(server, "b/0.jpg", if_none_match=f'"x", W/{tag}').status == 304


def test_head_has_the_headers_alone(server):
    whole = original(server, "b/0.jpg")
    for reply, length in (
        (original(server, "b/0.jpg", "HEAD"), len(whole.body)),
        (original(server, "b/0.jpg", "HEAD", range="bytes=2-5"), 4),
    ):
        assert reply.body == b"" and int(reply.headers["content-length"]) == length
        assert reply.headers["etag"] == whole.headers["etag"]
    assert ask(server, "b/0.jpg", "/thumbnail", "HEAD").status == 200


def test_files_are_closed_whoever_goes_away(server, photos, shown):
    large = photos / "large.png"
    large.write_bytes(encoded(colours(1), "PNG") + os.urandom(8 << 20))
    shown.scan(photos)
    number = shown.ids()["large.png"]
    until(lambda: server.get(place(server, number)).status == 200)
    before = open_files(photos)
    for _ in range(3):
        connection = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=20)
        connection.request("GET", place(server, number, "/original"))
        connection.getresponse().read(100)
        connection.close()
    original(server, number, range="bytes=0-1")
    original(server, number, "HEAD")
    original(server, number, range="bytes=999999999-")
    until(lambda: open_files(photos) == before)


def open_files(folder):
    """Files of a folder that this process has open."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            pass
    return sorted(one for one in found if one.startswith(str(folder)))


ADDRESSES = "..%2f..%2fetc%2fpasswd %2fetc%2fpasswd 1/original/../../../../etc/passwd 0x1 -1 1e3 b%2f0.jpg".split()


def test_there_is_no_way_to_a_file_but_by_the_number_of_a_picture(server):
    for address in ADDRESSES:
        connection = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=20)
        connection.request("GET", f"/api/indexes/index/pictures/{address}/original")
        reply = connection.getresponse()
        assert reply.status in (400, 404, 422) and b"root:" not in reply.read(), address
        connection.close()
