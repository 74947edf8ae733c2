"""What the model is asked over HTTP: uploads, vectors, similarity, labels; equal to the model itself."""

import io
import json
import socket
import struct
import threading
import time
import zlib
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

import ernie_vil2
from ernie_vil2.search.query.combination import unit_vector
from ernie_vil2.serving.schemas.parts import VectorPart
from tests.serving.conftest import WIDTH, vectors_of
from tests.serving.running import running, until

PLACE = "/api/indexes/photos/"


@pytest.fixture(scope="module")
def model(still):
    return ernie_vil2.load(still.services.settings.folder.parent / "model")


@pytest.fixture
def picture(random_image, image_bytes):
    return image_bytes(random_image(40, 50))


def upload(server, content, index="photos", language="en", kind="image/png"):
    return server.ask("POST", f"/api/indexes/{index}/uploads", content, language, **{"content-type": kind})


def form(content, boundary="cut"):
    """A multipart body with a file under `image`, and its media type."""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def embedded(server, *items, index="photos"):
    reply = server.ask("POST", f"/api/indexes/{index}/embeddings", {"items": list(items)})
    assert reply.status == 200, reply.body
    assert reply.json["width"] == WIDTH
    return np.array(reply.json["vectors"], np.float32)


def test_an_uploaded_picture_is_the_models_own_vector_bit_for_bit(still, model, picture):
    token = upload(still, picture).json
    body, kind = form(picture)
    again = upload(still, body, kind=kind).json
    assert (token["width"], token["height"], token["format"]) == (50, 40, "PNG")
    assert token["upload"] != again["upload"]
    found = embedded(still, {"upload": token["upload"]}, {"upload": again["upload"]})
    wanted = model.encode_image(picture)[0]
    assert np.array_equal(found[0], wanted) and np.array_equal(found[1], wanted)


def test_an_upload_finds_what_its_vector_finds_and_is_of_its_model_alone(still, model, picture):
    token = upload(still, picture).json["upload"]
    vector = model.encode_image(picture)[0].tolist()
    one, other = (
        still.search("photos", parts=[part], k=9).json["hits"] for part in ({"upload": token}, {"vector": vector})
    )
    assert [hit["id"] for hit in one] == [hit["id"] for hit in other]
    assert still.search("again", parts=[{"upload": token}]).status == 200  # the same model
    for index, asked in (("other", token), ("vectors", token), ("photos", "nobody knows it")):
        reply = still.search(index, parts=[{"upload": asked}])
        assert reply.status == 409 and reply.error[0] == "upload_unknown"


def test_embeddings_keep_the_order_of_all_kinds_of_parts(still, model):
    vector = vectors_of(1, 5)[0]
    parts = [
        {"text": "一只猫"},
        {"id": 7},
        {"vector": (3 * vector).tolist()},
        {"text": "a red dog"},
        {"text": "一只猫"},
    ]
    found = embedded(still, *parts)
    texts = np.concatenate([model.encode_text(text) for text in ("一只猫", "a red dog")])
    wanted = [
        texts[0],
        unit_vector(still.services.catalog.get("photos").moment().index.vectors([7])[0], WIDTH),
        vector,
        texts[1],
        texts[0],
    ]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_many_texts_at_once_are_what_each_is_alone(still, model):
    """Of very unequal lengths, from many clients; each text twice, so that some are encoded for two."""
    texts = [
        " ".join(["cat", "dog", "red", "big"][place % 4] for place in range(1 + number)) for number in range(14)
    ] * 2
    found = {}

    def ask(number):
        found[number] = embedded(still, {"text": texts[number]})[0]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    wanted = np.concatenate([model.encode_text(text) for text in texts])
    np.testing.assert_allclose([found[number] for number in range(len(texts))], wanted, atol=1e-5)


def test_similarity_is_the_cosine(still, model, picture):
    token = upload(still, picture).json["upload"]
    reply = still.ask("POST", PLACE + "similarity", {"a": {"upload": token}, "b": {"text": "一只猫"}})
    wanted = float(model.encode_image(picture)[0] @ model.encode_text("一只猫")[0])
    assert reply.json["score"] == pytest.approx(wanted, abs=1e-6)
    same = still.ask("POST", PLACE + "similarity", {"a": {"id": 3}, "b": {"id": 3}})
    assert same.json["score"] == pytest.approx(1, abs=1e-5)


def test_labels_are_ranked_with_the_models_scale(still, model, picture):
    token, labels = upload(still, picture).json["upload"], ["cat", "dog", "red"]
    asked = {"image": {"upload": token}, "labels": labels, "template": "a {}, left of {}"}
    found = still.ask("POST", PLACE + "labels", asked).json["labels"]
    texts = np.concatenate([model.encode_text(f"a {label}, left of {label}") for label in labels])
    scores = (texts @ model.encode_image(picture)[0]).astype(np.float64)
    shares = np.exp(model.logit_scale * scores) / np.exp(model.logit_scale * scores).sum()
    order = np.argsort(-scores)
    assert [one["label"] for one in found] == [labels[place] for place in order]
    np.testing.assert_allclose([one["score"] for one in found], scores[order], atol=1e-5)
    np.testing.assert_allclose([one["probability"] for one in found], shares[order], atol=1e-4)


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"labels": ["cat", "dog"], "template": "no place"}, 400, "template"),
        ({"labels": ["cat", "dog", "cat"]}, 400, "label_twice"),
        ({"labels": ["cat"]}, 422, "invalid"),
        ({"labels": ["cat", "x" * 201]}, 422, "invalid"),
        ({"labels": [f"{number}" for number in range(201)]}, 422, "invalid"),
        ({"labels": ["cat", " "]}, 400, "text_empty"),
        ({"labels": ["cat", "dog"], "other": 1}, 422, "invalid"),
    ],
)
def test_labels_that_cannot_be_are_refused(still, asked, status, code):
    reply = still.ask("POST", PLACE + "labels", {"image": {"id": 3}, **asked}, "zh")
    assert (reply.status, reply.error[0]) == (status, code)
    assert any("\u4e00" <= letter <= "\u9fff" for letter in reply.error[1])


def huge_jpeg():
    """A small JPEG whose header declares 300 million pixels, with as many bytes as one of them could have."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG")
    data = bytearray(buffer.getvalue())
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", 15_000, 20_000)
    return bytes(data[:-2]) + bytes(2**20) + b"\xff\xd9"


def bomb():
    """A PNG of 30,000 x 30,000 pixels in some kilobytes."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(10**6), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


BROKEN = {
    "pdf": (b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n", "not an image"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "not an image"),
    "300 megapixels": (huge_jpeg(), "too large"),
    "bomb": (bomb(), "too large"),
    "cut": (None, "truncated image"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_picture_is_refused_in_both_languages_undecoded(still, picture, name, monkeypatch):
    content, cause = BROKEN[name]
    decoded = []
    for decoder in ("cv2.imdecode", "ernie_vil2.data.images.decode.jpeg_pixels"):
        monkeypatch.setattr(decoder, lambda *given: decoded.append(given))
    for language, letters in (("en", "picture"), ("zh", "图片")):
        reply = upload(still, content or picture[: len(picture) // 2], language=language)
        assert (reply.status, reply.error[0]) == (422, "image")
        assert reply.json["error"]["values"]["cause"] == cause and letters in reply.error[1]
        assert "\n" not in reply.error[1] and "{" not in reply.error[1]
        if cause == "too large" and language == "zh":
            assert "最多 1 亿像素" in reply.error[1]
    assert not decoded
    monkeypatch.undo()
    assert upload(still, picture).status == 200


def test_a_broken_picture_fails_alone_among_many(still, model, picture):
    contents, found = [picture, picture[:500], picture, b"%PDF", picture] * 2, {}

    def send(number):
        found[number] = upload(still, contents[number])

    threads = [threading.Thread(target=send, args=(number,)) for number in range(len(contents))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [found[number].status for number in range(len(contents))] == [200, 422, 200, 422, 200] * 2
    tokens = [
        {"upload": found[number].json["upload"]} for number in range(len(contents)) if found[number].status == 200
    ]
    np.testing.assert_allclose(embedded(still, *tokens), np.tile(model.encode_image(picture), (6, 1)), atol=1e-5)


def test_uploads_are_forgotten_oldest_first(indexes, picture):
    with running(indexes, uploads=2) as server:
        tokens = [upload(server, picture).json["upload"] for _ in range(3)]
        statuses = [server.search("photos", parts=[{"upload": token}], k=1).status for token in tokens]
        assert statuses == [409, 200, 200] and len(server.services.uploads) == 2


def test_beyond_the_queue_requests_are_refused_with_when_to_come_again(indexes, monkeypatch):
    """And what was refused is answered when it comes again."""
    with running(indexes, queue=2) as server:
        free, batches = threading.Event(), server.services.encoders.models.held()[0]
        encode = batches.texts
        monkeypatch.setattr(batches, "texts", lambda tokens: free.wait(30) and encode(tokens))
        found = {}

        def ask(number):
            found[number] = server.search("photos", parts=[{"text": f"cat {number}"}], k=1)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 30
        while server.services.encoders.held < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        refused = server.search("photos", parts=[{"text": "dog"}], k=1)
        free.set()
        for thread in threads:
            thread.join(30)
        assert (refused.status, refused.error[0]) == (429, "busy") and int(refused.headers["retry-after"]) >= 1
        assert [found[number].status for number in range(2)] == [200, 200]
        assert server.search("photos", parts=[{"text": "dog"}], k=1).status == 200


def test_a_request_whose_client_is_gone_is_not_encoded(server, monkeypatch):
    batches, free, sizes = server.services.encoders.models.held()[0], threading.Event(), []
    encode = batches.texts
    monkeypatch.setattr(batches, "texts", lambda tokens: sizes.append(len(tokens)) or free.wait(30) and encode(tokens))
    first = threading.Thread(target=server.search, args=("photos",), kwargs={"parts": [{"text": "cat"}]})
    first.start()
    until(lambda: sizes)
    host, port = urlsplit(server.address).netloc.split(":")
    body = json.dumps({"parts": [{"text": "dog"}]}).encode()
    head = f"POST {PLACE}search HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, int(port))) as gone:
        gone.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        until(lambda: server.services.encoders.waiting("text") == 1)
    until(lambda: b"\nernie_vil2_connections 1.0\n" in server.services.metrics.text())  # that of the first
    free.set()
    first.join(30)
    until(lambda: server.services.encoders.held == 0)
    assert sizes == [1]
    assert server.search("photos", parts=[{"text": "dog"}]).status == 200 and sizes == [1, 1]


def test_a_text_that_was_asked_lately_is_not_encoded_again(server, monkeypatch):
    batches, encoded = server.services.encoders.models.held()[0], []
    encode = batches.texts
    monkeypatch.setattr(batches, "texts", lambda tokens: encoded.append(len(tokens)) or encode(tokens))
    for page in (1, 2):
        assert server.search("again", parts=[{"text": "一只大猫"}], k=3, page=page).status == 200
    assert encoded == [1]


def test_indexes_of_one_model_share_it(still):
    assert len(still.services.encoders.models.held()) == 2
    moments = [still.services.catalog.get(name).moment() for name in ("photos", "again", "other")]
    one, two, three = (still.services.encoders.models.get(moment) for moment in moments)
    assert one is two and one is not three


def test_an_index_without_a_model_says_so(still):
    reply = still.ask("POST", "/api/indexes/vectors/embeddings", {"items": [{"text": "cat"}]}, "zh")
    assert (reply.status, reply.error[0]) == (400, "model_missing") and "模型" in reply.error[1]
    assert still.search("vectors", parts=[{"id": 3}], k=1).status == 200


def test_of_a_vector_of_no_numbers_the_first_alone_is_told():
    with pytest.raises(ValidationError) as caught:
        VectorPart.model_validate({"vector": ["x"] * 1000})
    assert caught.value.error_count() == 1
