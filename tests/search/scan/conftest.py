"""An index of drawn pictures, encoded by a stand-in whose vectors are a hash of the pixels."""

import errno
import hashlib
import io
import os
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from ernie_vil2.data.images.decode import decode
from ernie_vil2.errors import ImageError
from ernie_vil2.search.scan.encoder import Encoder
from ernie_vil2.search.scan.folder import listing
from ernie_vil2.search.scan.ledger import Ledger
from ernie_vil2.search.scan.places import place_of
from ernie_vil2.search.scan.scan import scan
from ernie_vil2.search.store.manifest import Manifest
from ernie_vil2.search.store.snapshot import open_snapshot
from ernie_vil2.search.store.writer import open_writer

WIDTH = 16


def vector_of(data):
    """float32 [WIDTH] of length 1, another one for other bytes."""
    seed = np.frombuffer(hashlib.sha256(data).digest(), np.uint32)
    vector = np.random.default_rng(seed).normal(size=WIDTH).astype(np.float32)
    return vector / np.linalg.norm(vector)


class StandIn:
    """A model whose vector of a picture is a hash of its pixels. encoded: how many pictures and texts it was given."""

    config = SimpleNamespace(towers=lambda: ("image", "text"))

    def __init__(self):
        self.encoded = 0

    def encode_image(self, pictures, on_error):
        found, failures = np.full((len(pictures), WIDTH), np.nan, np.float32), []
        for place, picture in enumerate(pictures):
            self.encoded += 1
            try:
                found[place] = vector_of(decode(picture).tobytes())
            except ImageError as error:
                reason = type("Reason", (str,), {"cause": error.cause})(str(error))
                failures.append((place, reason))
        return found, failures

    def encode_text(self, texts, on_error):
        self.encoded += len(texts)
        return np.stack([vector_of(text.encode()) for text in texts]), []


def draw(place, seed, sides=(12, 16), **options):
    """Write a picture of noise, another one for another seed."""
    place.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*sides, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, place.suffix[1:].replace("jpg", "jpeg"), **options)
    place.write_bytes(buffer.getvalue())


class Indexed:
    """An index beside folders of pictures, as a test changes these."""

    def __init__(self, folder):
        self.folder, self.place = folder, folder / "index"
        self.model = StandIn()

    def scan(self, *sources, places=None, **options):
        """The report of a scan of sources, and how many items were encoded in it."""
        before = self.model.encoded
        with open_writer(self.place, Manifest(width=WIDTH, model={"digest": "d"})) as writer:
            wanted = places or [place_of(str(source)) for source in sources]
            ledger = Ledger(writer, **options.pop("ledger", {}))
            report = scan(writer, wanted, Encoder(lambda: self.model), ledger=ledger, **options)
        report.encoded = self.model.encoded - before
        return report

    @property
    def images(self):
        return open_snapshot(self.place).images

    def rows(self):
        """{key: record} of the living rows."""
        images = self.images
        return {record["key"]: record for record in images.take(images.live_ids()).to_pylist()}

    def ids(self):
        """{key: id} of the living rows."""
        return {key: record["id"] for key, record in self.rows().items()}

    def state(self):
        """What must not depend on how an index came about: (root, key, digest, vector) of every row."""
        images = self.images
        ids = images.live_ids()
        records = images.take(ids, ["root", "key", "digest"]).to_pylist()
        vectors = images.halves(ids)
        found = [(*record.values(), vector.tobytes()) for record, vector in zip(records, vectors, strict=True)]
        return sorted(found)


@pytest.fixture
def indexed(tmp_path):
    """An Indexed without an index yet."""
    return Indexed(tmp_path)


@pytest.fixture
def photos(tmp_path):
    """A folder of 12 pictures, in two folders."""
    folder = tmp_path / "photos"
    for seed in range(12):
        draw(folder / ("a" if seed % 2 else "b") / f"{seed:03d}.png", seed)
    return folder


@pytest.fixture
def closed(monkeypatch):
    """Function (path) that makes a folder below a scanned one unreadable, for root too."""

    def close(path):
        real = listing.open_below

        def refusing(root, place, flags):
            if place == path:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            return real(root, place, flags)

        monkeypatch.setattr(listing, "open_below", refusing)

    return close
