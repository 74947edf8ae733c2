"""The client: what the server answers, its sentences as errors, patience with a busy server, files that are whole."""

import doctest
import socket
import threading
import time

import numpy as np
import pytest

import ernie_vil2
from ernie_vil2.errors import ConfigError, ImageError
from ernie_vil2.serving import client as module
from ernie_vil2.serving.client import Client, ServerError
from tests.serving.conftest import WIDTH, vectors_of


@pytest.fixture
def client(still):
    return Client(still.address)


@pytest.fixture
def answering():
    """Function (*answers) -> the address of a server that gives these bytes, one a connection, and what it was sent."""
    listening = socket.create_server(("127.0.0.1", 0))
    sent = []

    def serve(answers):
        for answer in answers:
            connection, _ = listening.accept()
            with connection:
                sent.append(connection.recv(1 << 16))
                connection.sendall(answer)

    def start(*answers):
        threading.Thread(target=serve, args=(answers,), daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}", sent

    yield start
    listening.close()


def reply(status, body, *headers):
    head = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


BUSY = reply(429, b'{"error": {"code": "busy", "message": "busy", "values": {}}}', "Retry-After: 2")


def test_the_example_of_its_own_words(still):
    found = doctest.testmod(module, extraglobs={"address": still.address})
    assert found.attempted >= 5 and not found.failed


def test_all_that_can_be_asked(still, client, random_image, image_bytes, tmp_path):
    model = ernie_vil2.load(still.services.settings.folder.parent / "model")
    content = image_bytes(random_image(40, 50))
    (tmp_path / "图.png").write_bytes(content)
    vector = model.encode_image(content)[0]
    token = client.upload("photos", tmp_path / "图.png")
    assert np.array_equal(np.float32(client.embeddings("photos", [{"upload": token}])[0]), vector)
    hits = client.search("photos", {"upload": token}, minus=[{"id": 3, "weight": 0.1}], k=5, filter="tag:猫")["hits"]
    assert hits and all("猫" in hit["tags"] for hit in hits)
    wanted = float(vector @ model.encode_text("一只猫")[0])
    assert client.similarity("photos", "一只猫", {"upload": client.upload("photos", content)}) == pytest.approx(
        wanted, abs=1e-5
    )
    with pytest.raises(ImageError, match="no such file.png"):
        client.upload("photos", tmp_path / "no such file.png")
    assert client.picture("photos", 7)["id"] == 7
    assert client.search("vectors", {"vector": vectors_of(1, 3, WIDTH)[0].tolist()}, k=2)["k"] == 2


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_refusal_is_an_error_with_the_servers_sentence(still, language):
    told = still.search("nowhere", language, parts=[{"id": 1}]).error
    with pytest.raises(ServerError) as caught:
        Client(still.address, language=language).search("nowhere", {"id": 1})
    assert (caught.value.code, str(caught.value)) == told and caught.value.status == 404
    assert caught.value.values == {"index": "nowhere"}


def test_a_picture_is_streamed_whole_or_not_at_all(answering, tmp_path):
    content = bytes(range(256)) * 1000
    address, _ = answering(reply(200, content), reply(200, content)[:-1000])
    client = Client(address)
    client.original("photos", 3, tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == content
    with pytest.raises(ServerError, match="ends too early"):
        client.original("photos", 3, tmp_path / "part")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["whole"]


def test_a_busy_server_is_asked_again_when_it_says_so(answering, monkeypatch):
    waited = []
    monkeypatch.setattr(time, "sleep", waited.append)
    address, sent = answering(BUSY, BUSY, reply(200, b'{"indexes": []}'))
    assert Client(address).indexes() == [] and waited == [2, 2] and len(sent) == 3


def test_patience_has_an_end(answering, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    address, sent = answering(*[BUSY] * (module.TRIES + 1))
    with pytest.raises(ServerError) as caught:
        Client(address).indexes()
    assert caught.value.code == "busy" and len(sent) == module.TRIES


def test_the_key_goes_to_the_server_alone(answering, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    moved = reply(302, b"", "Location: http://127.0.0.1:9/elsewhere")
    address, sent = answering(reply(200, b'{"indexes": []}'), moved)
    client = Client(address, key="a-key-of-many-letters")
    client.indexes()
    assert b"Authorization: Bearer a-key-of-many-letters\r\n" in sent[0]
    with pytest.raises(ServerError, match="status 302"):
        client.indexes()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (reply(200, b"<html>"), "no JSON"),
        (reply(500, b"<html>"), "status 500"),
        (reply(404, b'{"error": 1}'), "status 404"),
        (reply(200, b'{"indexes": []}')[:-4], "too early"),
        (b"SSH-2.0\r\n", "does not answer"),
        (reply(200, b"[]"), "not what was asked for"),
        (reply(200, b"{}"), "not what was asked for"),
        (reply(200, b"[" * 10**5), "no JSON"),
        (b"HTTP/1.1 200 x\r\nContent-Length: many\r\n\r\n{}", "not what was asked for"),
        (b"HTTP/1.1 503 x\r\nRetry-After: \xb2\r\nContent-Length: 0\r\n\r\n", "status 503"),
        (b"HTTP/1.1 200 x\r\n\r\n" + bytes(3 << 16), "does not end"),
    ],
)
def test_what_is_no_server_of_indexes_is_one_sentence(answering, answer, told, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_ANSWER", 2 << 16)
    address, _ = answering(answer)
    with pytest.raises(ServerError, match=told) as caught:
        Client(address).indexes()
    assert address in str(caught.value) and "\n" not in str(caught.value)


def test_nobody_there_and_nobody_who_speaks(answering):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        with pytest.raises(ServerError, match="timed out"):
            Client(f"http://127.0.0.1:{port}", timeout=0.05).indexes()
    with pytest.raises(ServerError, match="does not answer"):
        Client(f"http://127.0.0.1:{port}", timeout=5).indexes()
    with pytest.raises(ConfigError, match="http://HOST:PORT"):
        Client("127.0.0.1:8765")


@pytest.mark.parametrize(
    "given", [("http://h:1/\r\nX: y",), ("http://猫:1",), ("http://h", "钥匙"), ("http://h", "a\nb")]
)
def test_what_no_request_can_hold_is_refused_before_one_is_sent(given):
    with pytest.raises(ConfigError, match="correct it"):
        Client(*given)
