"""Photographs that nobody took: JPEGs with detail at every scale, in tars."""

import io
import os
import statistics
import tarfile
from pathlib import Path

import cv2
import numpy as np

SIDES = 480, 640
SHARDS = 4


def photo(rng: np.random.Generator, height: int = SIDES[0], width: int = SIDES[1]) -> np.ndarray:
    """Pixels uint8 [H, W, 3] with detail at every scale, less of it at the finer ones, as photographs have."""
    picture = np.full((height, width, 3), 128, np.float32)
    for cells in (4, 16, 64, 160, 320, 640):
        layer = rng.standard_normal((max(3, cells * height // width), cells, 3), np.float32)
        picture += 75 / cells**0.35 * cv2.resize(layer, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


def write_tars(folder: str | os.PathLike, count: int, quality: int = 85, photos: int = 32) -> tuple[list[Path], float]:
    """Paths of SHARDS tars with `count` JPEGs of 640 x 480, of `photos` different ones; and a file's mean bytes."""
    encode = [cv2.IMWRITE_JPEG_QUALITY, quality]
    files = [
        cv2.imencode(".jpg", photo(np.random.default_rng(seed)), encode)[1].tobytes()
        for seed in range(min(count, photos))
    ]
    paths = [Path(folder) / f"{shard:04}.tar" for shard in range(SHARDS)]
    for shard, path in enumerate(paths):
        with tarfile.open(path, "w") as tar:
            for index in range(shard, count, SHARDS):
                for suffix, data in (("jpg", files[index % len(files)]), ("txt", "图".encode())):
                    member = tarfile.TarInfo(f"{index:06}.{suffix}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    return paths, statistics.mean(map(len, files))
