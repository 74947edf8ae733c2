"""A folder to try everything with: twelve drawn pictures, with captions and tags in every form that a user may have.

The pictures are scenes (`sources/scenes`) that are drawn larger; the same ones each time.
"""

import base64
import contextlib
import csv
import io
import json
import os
from pathlib import Path

import cv2
import numpy as np

from ..files.atomic import atomic_directory, reported
from ..files.digests import sha256_of
from ..files.json_files import SETTINGS_BYTES, read_json, write_json
from ..files.marks import written_by
from .sources.base import Sample
from .sources.line_files import JsonlSource
from .sources.scenes.source import SceneSource
from .vocabulary import write_vocabulary

COMMAND, MARK = "sample", "sample.json"
PICTURES, VALID, SIDE = 12, 4, 240
VOCABULARY_SIZE = 2000
PHOTOS = "photos"
FILES = (PHOTOS, "photos.jsonl", "train.jsonl", "valid.jsonl", "table.csv", "pairs.tsv", "queries.txt", "vocab.txt")


def is_sample(path: Path) -> bool:
    """Whether a folder is a sample with nothing else in it: no file of a name that was not written."""
    if not written_by(path / MARK, COMMAND):
        return False
    return {entry.relative_to(path).as_posix() for entry in path.rglob("*")} <= {PHOTOS, MARK, *written(path)}


def changed(path: Path) -> list[str]:
    """Files of a sample that are no longer as they were written, by name; those that are gone are no loss."""
    there = {name: digest for name, digest in written(path).items() if (path / name).is_file()}
    return [name for name, digest in there.items() if digest != sha256_of(path / name)]


def written(path: Path) -> dict[str, str]:
    """{name: SHA-256} of the files of a sample, as its mark says."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        files = read_json(path / MARK, most=SETTINGS_BYTES)["files"]
        return files if isinstance(files, dict) else {}
    return {}


def write_sample(folder: str | os.PathLike) -> None:
    """Write the folder: pictures, JSON lines of all, of those to train on and of those to validate with, a table as a
    Chinese Excel writes it (GBK), the release's TSV, queries, and a vocabulary of the captions.

    It replaces what stands there. Raises CheckpointError where it cannot be written.
    """
    scenes = SceneSource(size=PICTURES, image_size=SIDE, seed=7)
    samples = [scenes[index] for index in range(len(scenes))]
    with reported(folder), atomic_directory(folder) as target:
        names = [f"{place:02d}-{shown(scenes, place - 1)}" for place in range(1, PICTURES + 1)]
        (target / PHOTOS).mkdir(parents=True)
        pictures = [jpeg(sample.image) for sample in samples]
        for name, picture in zip(names, pictures, strict=True):
            (target / PHOTOS / f"{name}.jpg").write_bytes(picture)
        rows = [row(name, sample) for name, sample in zip(names, samples, strict=True)]
        for file, part in (("photos", rows), ("train", rows[VALID:]), ("valid", rows[:VALID])):
            (target / f"{file}.jsonl").write_text("".join(part), encoding="utf-8")
        (target / "table.csv").write_bytes(table(names, samples).encode("gbk"))
        (target / "pairs.tsv").write_text(
            "".join(
                f"{sample.texts[0]}\t{name}\t{str(base64.b64encode(picture), 'ascii')}\n"
                for name, sample, picture in zip(names, samples, pictures, strict=True)
            ),
            encoding="utf-8",
        )
        queries = [samples[0].texts[0], samples[1].texts[1], "一个红色的圆形", samples[0].texts[2], "a blue star"]
        (target / "queries.txt").write_text("\n".join(queries) + "\n", encoding="utf-8")
        write_vocabulary(JsonlSource(target / "photos.jsonl"), target / "vocab.txt", VOCABULARY_SIZE)
        files = sorted(path for path in target.rglob("*") if path.is_file())
        digests = {path.relative_to(target).as_posix(): sha256_of(path) for path in files}
        write_json(target / MARK, {"pictures": PICTURES, "files": digests}, COMMAND)


def jpeg(rgb: np.ndarray) -> bytes:
    """uint8 RGB [H, W, 3] as the bytes of a JPEG file."""
    return cv2.imencode(".jpg", np.ascontiguousarray(rgb[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def shown(scenes: SceneSource, index: int) -> str:
    """What a scene shows, as part of a file's name: colour and shape of its first two groups."""
    return "-".join(f"{group.colour}-{group.shape}" for group in scenes.scene(index).groups[:2])


def row(name: str, sample: Sample) -> str:
    """The JSON line of a picture: two Chinese captions, an English one, tags and an id."""
    texts = [*sample.texts[:2], sample.texts[2]]
    content = {"image": f"photos/{name}.jpg", "texts": texts, "tags": list(sample.tags), "id": name}
    return json.dumps(content, ensure_ascii=False) + "\n"


def table(names: list[str], samples: list[Sample]) -> str:
    """The pictures as a table with Chinese headers, lines ending as Excel's do."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["图片", "描述"])
    for name, sample in zip(names, samples, strict=True):
        writer.writerow([f"photos/{name}.jpg", sample.texts[0]])
    return text.getvalue()
