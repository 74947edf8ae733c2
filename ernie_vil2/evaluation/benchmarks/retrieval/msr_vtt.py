"""MSR-VTT in the split 1k-A: 1,000 test videos with one English sentence each, in both directions.

Source: Xu et al., MSR-VTT: A Large Video Description Dataset for Bridging Video and Language; the split is that of Yu
et al., A Joint Sequence Fusion Model for Video Question Answering and Retrieval (JSFusion). A video's embedding is the
mean of those of its frames, as the parameter-free one of Luo et al., CLIP4Clip; which frames is this project's choice.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....data.sources import fields
from ....data.sources.lines import LineFile
from ....data.sources.rows.cells import cells
from ....data.sources.rows.texts import decode_utf8
from ....data.videos.frames import checked_count, frames_evenly
from ....errors import ConfigError, DataError, ImageError
from ....files.digests import sha256_of
from ...encoding import Progress, encode_window
from ...left_out import LeftOut
from ...metrics.finite import finite
from ...metrics.ranks import normalise
from ...runs.records import Outcome
from ..benchmark import Benchmark, Options, read_options
from ..benchmark_folder import Folder
from .outcome import Meter, outcome
from .pairs import Builder, Pairs
from .protocols import Protocols

if TYPE_CHECKING:
    from ....inference.model import Model

NAMES = ("MSRVTT_JSFUSION_test.csv",)
COLUMNS = ["key", "vid_key", "video_id", "sentence"]
WANTED = {"videos": 1000, "captions": 1000}
PARENT = "all"
"""The folder that the videos of all splits are unpacked into"""
SOURCE = "it is in msrvtt_data.zip of the releases of ArrowLuo/CLIP4Clip"
VIDEOS = "the videos are files named by their video_id, such as videos/all/video7010.mp4, from MSR-VTT's own archives"


@dataclass(frozen=True, kw_only=True)
class VideoOptions(Options):
    """Options of a benchmark of videos. frames: of each video, evenly spaced."""

    frames: int = 12


def read(data: str | Path, protocol: str | None = "1k-a", split: str = "test", allow_counts: bool = False) -> Pairs:
    """Pairs whose images are paths of videos, from lines `key,vid_key,video_id,sentence`."""
    if split != "test":
        raise ConfigError("msr-vtt has no other split than test; leave --split out")
    builder, folder = Builder(PROTOCOLS.title(protocol, split), allow_counts, "video"), Folder(data)
    path = folder.find(NAMES, "the sentences", SOURCE)
    lines = LineFile(path)
    for row in range(len(lines)):
        where = lines.where(row)
        columns = [cell.strip() for cell in cells(decode_utf8(lines.read(row), where, "line"))]
        if row == 0 and columns == COLUMNS:
            continue
        if row == 0 or len(columns) != len(COLUMNS):
            reason = f"the line is not {','.join(COLUMNS)}" if row == 0 else f"the line has {len(columns)} columns"
            raise DataError(f"{where}: {reason}; copy the file again, it has {len(COLUMNS)} columns below that header")
        key, _, video, sentence = columns
        builder.add_image(video, where, PARENT)
        builder.add_text(fields.caption(sentence, where), [video], where, key)
    return builder.from_files(folder.videos(), {path.name: sha256_of(path)}, WANTED, folder.path, VIDEOS)


def evaluate(
    model: "Model",
    name: str,
    data: str | Path,
    *,
    split: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Outcome:
    """The Outcome of MSR-VTT; options: those of the record `VideoOptions`. The image of a row is a frame from the
    middle of its video."""
    told = read_options(VideoOptions, options, name)
    count = checked_count(told.frames)
    sets = PROTOCOLS.sets(name, data, split, told.allow_counts)

    def encode(model: "Model", sets: list[Pairs], meter: Meter):
        return encode_videos(model, sets[0], count, meter)

    found = outcome(model, sets, progress, encode)
    note = f"a video is the normalised mean of the embeddings of {count} evenly spaced frames"
    results = [
        replace(row, notes=(*row.notes, note), provenance={**row.provenance, "frames": count}) for row in found.results
    ]
    return replace(found, results=results, image=lambda row: next(frames_evenly(sets[0].images[row], 1)).pixels)


def encode_videos(
    model: "Model", part: Pairs, count: int, meter: Meter
) -> tuple[dict[str, int], np.ndarray, dict[str, str]]:
    """({id: row}, embeddings float32 [N, D], {id: SHA-256 of the file}) of all videos, one in memory at a time."""
    embeds, digests = [], {}
    for row, key in enumerate(part.image_ids):
        path = part.images[row]
        digests[key] = sha256_of(path)
        embeds.append(video_embedding(model, path, count))
        meter.add(1)
    return {key: row for row, key in enumerate(part.image_ids)}, np.stack(embeds), digests


def video_embedding(model: "Model", path: Path, count: int) -> np.ndarray:
    """float32 [D]: the normalised mean of the normalised embeddings of `count` evenly spaced frames of a video.

    Raises DataError for a video or a frame that cannot be decoded, CheckpointError for embeddings that are not finite.
    """
    frames = [frame.pixels for frame in frames_evenly(path, count)]

    def broken(position: int, reason: str) -> ImageError:
        return ImageError(f"{path}, frame {position + 1} of {len(frames)}: {reason}")

    rows = finite(encode_window(model, frames, broken, LeftOut())[1], lambda position: f"{path}, frame {position + 1}")
    return normalise(normalise(rows).mean(axis=0, keepdims=True))[0].astype(np.float32)


PROTOCOLS = Protocols("msr-vtt", ("1k-a",), "test", read)
BENCHMARKS = {PROTOCOLS.name: Benchmark(evaluate, VideoOptions)}
