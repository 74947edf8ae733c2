"""An exported PaddleDetection model over the images of a source: detections as JSON lines, resumable.

The export holds `model.pdmodel` or `model.json`, `model.pdiparams` and `infer_cfg.yml`, as PaddleDetection's
tools/export_model.py writes them. Inputs: image [1, 3, H, W], im_shape [1, 2] (rows, columns after resizing) and
scale_factor [1, 2] (down, across), as far as the model asks for them; first output: [N, 6] rows of class, score and the
box's left, top, right and bottom in pixels of the image.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ..config.model import PixelProfile
from ..data.images.decode import decode
from ..data.images.resize import OFFICIAL
from ..data.sources.base import Source
from ..device import current_device
from ..errors import CheckpointError, ConfigError, DataError
from ..files.yaml_files import read_yaml
from ..runtime import import_paddle
from ..stop import Stopped, StopRequest
from ..threads import note_computing, refuse_fork, thread_count
from .journal import Journal

if TYPE_CHECKING:
    from paddle.inference import Predictor

CONFIG, PARAMETERS, PROGRAMS = "infer_cfg.yml", "model.pdiparams", ("model.json", "model.pdmodel")
DETECTIONS = "detections.jsonl"
CHUNK = 32
"""Images between two commits."""
FLOOR = 0.05
"""Detections below this score are not written; the threshold of tags lies far above."""


def resize(
    pixels: np.ndarray,
    info: dict[str, Any],
    target_size: int | Sequence[int],
    keep_ratio: bool = True,
    interp: int = cv2.INTER_LINEAR,
    **_: Any,
) -> np.ndarray:
    """To the target (rows, columns), or by one factor so that short and long side stay within its two sides."""
    target = [target_size, target_size] if isinstance(target_size, int) else list(target_size)
    rows, columns = pixels.shape[:2]
    if keep_ratio:
        factor = min(min(target) / min(rows, columns), max(target) / max(rows, columns))
        down = across = factor
    else:
        down, across = target[0] / rows, target[1] / columns
    pixels = cv2.resize(pixels, None, fx=across, fy=down, interpolation=interp)
    info.update(im_shape=pixels.shape[:2], scale_factor=(down, across))
    return pixels


def normalize(
    pixels: np.ndarray,
    info: dict[str, Any],
    mean: Sequence[float] = (0, 0, 0),
    std: Sequence[float] = (1, 1, 1),
    is_scale: bool = True,
    norm_type: str = "mean_std",
    **_: Any,
) -> np.ndarray:
    """To float32; by 255 where it is scaled, then mean and deviation of each channel."""
    pixels = pixels.astype(np.float32) / (255 if is_scale else 1)
    return (pixels - np.float32(mean)) / np.float32(std) if norm_type == "mean_std" else pixels


def permute(pixels: np.ndarray, info: dict[str, Any], **_: Any) -> np.ndarray:
    """[H, W, 3] to [3, H, W]."""
    return pixels.transpose(2, 0, 1)


def pad_stride(pixels: np.ndarray, info: dict[str, Any], stride: int = 0, **_: Any) -> np.ndarray:
    """Zeros below and to the right, up to a multiple of the stride."""
    if stride <= 1:
        return pixels
    return np.pad(pixels, [(0, 0), *((0, -side % stride) for side in pixels.shape[1:])])


STEPS = {"Resize": resize, "NormalizeImage": normalize, "Permute": permute, "PadStride": pad_stride}


class Detector:
    """`detect(rgb)` gives the detections of an image; `labels` are the names of the classes, if the export has them.

    profile: what decodes images; OpenCV's turn them upright by their EXIF, Pillow's leave them as they are stored.
    Raises ConfigError or CheckpointError for a folder that is no export, or one with unknown preprocessing.
    """

    def __init__(self, folder: str | os.PathLike, profile: PixelProfile = OFFICIAL):
        self.folder, self.profile = Path(folder), profile
        config = read_yaml(self.folder / CONFIG)
        self.steps = read_steps(config, self.folder / CONFIG)
        self.labels = [str(name) for name in config.get("label_list") or []]
        program = next((self.folder / name for name in PROGRAMS if (self.folder / name).is_file()), None)
        if program is None or not (self.folder / PARAMETERS).is_file():
            raise CheckpointError(
                f"{folder}: no exported model; it holds {PARAMETERS} and {' or '.join(PROGRAMS)} beside {CONFIG}, as "
                "PaddleDetection's tools/export_model.py writes them"
            )
        self.program = program
        self.predictor, self.process = self.build(program), os.getpid()
        self.inputs = {name: self.predictor.get_input_handle(name) for name in self.predictor.get_input_names()}
        unknown = set(self.inputs) - {"image", "im_shape", "scale_factor"}
        if unknown:
            raise CheckpointError(
                f"{program}: the model asks for {sorted(unknown)[0]!r}, which detectors do not; "
                "export a PaddleDetection detector"
            )

    def build(self, program: Path) -> "Predictor":
        """A predictor on the GPU where there is one, and else on all threads of the CPU."""
        import_paddle()
        from paddle import inference

        config = inference.Config(str(program), str(self.folder / PARAMETERS))
        config.disable_glog_info()
        if current_device().kind == "gpu":
            config.enable_use_gpu(500, 0)
        else:
            config.disable_gpu()
            config.set_cpu_math_library_num_threads(thread_count())
        try:
            return inference.create_predictor(config)
        except (RuntimeError, ValueError, OSError) as error:
            raise CheckpointError(
                f"{program}: not a model that Paddle loads ({str(error).strip()[-200:]}); export it again"
            ) from None

    def identity(self) -> str:
        """What tells this export, and how images are decoded for it, from another one."""
        parts = (self.folder / CONFIG, self.program, self.folder / PARAMETERS)
        hashed = hashlib.blake2b(digest_size=16)
        for part in parts[:2]:
            hashed.update(part.read_bytes())
        decoder = "" if self.profile.decoder == OFFICIAL.decoder else f"-{self.profile.decoder}"
        return f"{hashed.hexdigest()}-{parts[2].stat().st_size}{decoder}"

    def detect(self, rgb: np.ndarray) -> np.ndarray:
        """float32 [N, 6] (class, score, left, top, right, bottom) of uint8 RGB [H, W, 3]."""
        if os.getpid() != self.process:
            refuse_fork("a detector of its parent")
        note_computing()
        info = {"im_shape": rgb.shape[:2], "scale_factor": (1.0, 1.0)}
        pixels = rgb
        for step, options in self.steps:
            pixels = step(pixels, info, **options)
        values = {"image": pixels, **info}
        for name, handle in self.inputs.items():
            handle.copy_from_cpu(np.ascontiguousarray(np.asarray(values[name], np.float32)[None]))
        self.predictor.run()
        found = self.predictor.get_output_handle(self.predictor.get_output_names()[0]).copy_to_cpu()
        if found.ndim != 2 or found.shape[1] != 6:
            raise CheckpointError(
                f"{self.program}: the first output is {list(found.shape)} instead of [N, 6]; "
                "export the detector with its post-processing"
            )
        return found[(found[:, 0] >= 0) & (found[:, 1] >= FLOOR)]

    def record(self, key: str, found: np.ndarray) -> dict[str, Any]:
        """The JSON-able row of an image."""
        classes = found[:, 0].astype(int).tolist()
        if self.labels and max(classes, default=0) >= len(self.labels):
            raise CheckpointError(
                f"{self.folder / CONFIG}: class {max(classes)} is beyond the {len(self.labels)} "
                "names of label_list; correct it"
            )
        named = {"labels": [self.labels[number] for number in classes]} if self.labels else {"classes": classes}
        return {
            "id": key,
            **named,
            "scores": [round(float(score), 4) for score in found[:, 1]],
            "boxes": [[round(float(edge), 1) for edge in box] for box in found[:, 2:]],
        }


def read_steps(
    config: Mapping[str, Any], where: str | os.PathLike
) -> list[tuple[Callable[..., np.ndarray], dict[str, Any]]]:
    """[(function, options)] of the preprocessing list; ConfigError for a step that is not known."""
    steps = []
    for entry in config.get("Preprocess") or []:
        options = dict(entry)
        kind = options.pop("type", None)
        if kind not in STEPS:
            raise ConfigError(f"{where}: preprocessing {kind!r} is not known; known are {', '.join(STEPS)}")
        std = np.ravel(options.get("std", 1.0))
        if std.dtype.kind not in "if" or not (std > 1e-6).all() or not np.isfinite(std).all():
            raise ConfigError(f"{where}: {kind} has std {options['std']!r}; give numbers above 0")
        steps.append((STEPS[kind], options))
    if not steps:
        raise ConfigError(f"{where}: no Preprocess list; give the infer_cfg.yml of a PaddleDetection export")
    return steps


def detect_source(
    detector: Detector,
    source: Source,
    folder: str | os.PathLike,
    progress: Callable[[Iterable[int]], Iterable[int]] = lambda rows: rows,
    stop: StopRequest | None = None,
) -> tuple[Path, dict[str, int]]:
    """Write folder/detections.jsonl, a row for each image id of a source; returns (its path, counts).

    After an interruption the same call goes on after the last commit, and gives the same bytes. A broken image becomes
    a row {id, error}. Raises Stopped after a commit when `stop` was asked to, DataError when the folder was begun with
    another model or source.
    """
    identity = {"model": detector.identity(), "source": f"{os.path.normpath(source.name)}, {len(source)} rows"}
    journal = Journal(folder, identity)
    try:
        journal.open([DETECTIONS])
        state = {"row": 0, "images": 0, "broken": 0, **journal.state}
        for row in progress(range(state["row"], len(source))):
            one_row(detector, source, row, journal, state)
            asked = stop is not None and stop.asked
            if asked or (row + 1) % CHUNK == 0 or row + 1 == len(source):
                journal.commit(row=row + 1, images=state["images"], broken=state["broken"])
            if asked:
                raise Stopped(stop.signal)
    finally:
        journal.close()
    return Path(folder) / DETECTIONS, {"images": state["images"], "broken": state["broken"]}


def one_row(detector: Detector, source: Source, row: int, journal: Journal, state: dict[str, Any]) -> None:
    """Detect in the image of a row unless its id is done; a row without a usable id is left to the join to count."""
    try:
        key = source.key(row)
    except DataError:
        return
    if journal.knows(key):
        return
    try:
        record = detector.record(key, detector.detect(decode(source[row].image, detector.profile)))
        state["images"] += 1
    except DataError as error:
        record = {"id": key, "error": str(error)}
        state["broken"] += 1
    journal.write(DETECTIONS, (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace"))
    journal.add(key)
