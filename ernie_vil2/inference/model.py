"""The public surface: `load` a checkpoint, then texts and images to embeddings."""

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import paddle

from ..checkpoints.model_directory import WEIGHTS, open_model, refuse_system
from ..data.images.inputs import AnyImage
from ..data.images.limits import DEFAULT_LIMITS, Limits, limits_of
from ..data.images.pixels import normalise, preprocess
from ..data.tokenizer import Tokenizer
from ..device import device_of
from ..errors import CheckpointError, ConfigError
from ..files.run_folder import told_model
from ..messages import brief
from ..models.dual_encoder import check_amount, fill, uninitialised
from ..systems.registry import known_systems, system_class
from ..threads import ordered_map, thread_count
from .batch_sizes import CPU_BATCH, GPU_BATCH
from .engines.tower_engines import TowerEngines, plan_engines
from .image_batches import ImageReader, Regions, boxes_of_each
from .items import Failures, listed, single_image, text_fault
from .unit_rows import unit_rows

WINDOW = 8192
"""Texts that are tokenized and sorted by length together."""
Texts, Images = str | Iterable[str], AnyImage | Iterable[AnyImage]
Boxes = np.ndarray | Sequence[Any] | None
"""[n, 4] of one image, or a sequence with [n, 4] or None for each image"""
WithFailures = tuple[np.ndarray, list[tuple[int, str]]]
"""Embeddings, and (position, reason) of what could not be encoded"""
LOG = logging.getLogger("ernie_vil2")


def load(
    path: str | os.PathLike,
    vocab: str | os.PathLike | None = None,
    damaged: str = "skip",
    engine: str = "auto",
    precision: str = "fp32",
) -> "Model":
    """A Model from a model directory, a `.pdparams` in the release's keys, PaddleNLP's ErnieViL (folder or file), or
    the folder of a run, of which the latest checkpoint is taken, with a warning in the log that names it.

    vocab: vocabulary file; needed for a `.pdparams` unless a vocab.txt lies beside it. damaged: keep takes
    pictures that decode only in part as they are, skip counts them as errors. engine: auto takes the fastest that is
    right for the device, or what the environment's ERNIE_VIL2_ENGINE says; paddle is the dynamic mode, others are
    paddle_inference and openvino (docs/engines.md). precision: fp32, bf16, or int8 of a quantised model. Tensors are
    read and assigned one by one, so memory peaks at little more than the model itself. Raises ConfigError for an engine
    or a precision that cannot be, and CheckpointError that lists every missing and mis-shaped tensor, and names what a
    pickle asked for that is not allowed. What had to be assumed of a file without configuration is logged as a warning.
    """
    path = told_model(path)
    state, config, vocabulary = open_model(path, vocab)
    tokenizer = None
    if config.text_tower is not None:
        tokenizer = Tokenizer(vocabulary, config.max_length, config.lower_case, config.tokenizer, config.fixed_length)
    rows = config.text_tower.vocab_size if tokenizer else 0
    if tokenizer and tokenizer.vocab_size > rows:
        raise CheckpointError(
            f"the vocabulary {vocabulary} has {tokenizer.vocab_size} tokens but {path} embeds only "
            f"{rows}; give the vocabulary that belongs to these weights"
        )
    refuse_system(Path(path), config.system, known_systems())
    system = system_class(config.system)
    plan = plan_engines(config, path, engine, precision, system.most_boxes(config))
    check_amount(system.parameters(config), state, path)
    with uninitialised():
        network = system.network(config)
    fill(network, state, path)
    if not (Path(path) / WEIGHTS).is_file():  # a model directory says what it is; of other files much is assumed
        for note in state.notes:
            LOG.warning("%s", brief(f"{path}: {note}"))
    return Model(network, tokenizer, limits_of(damaged), TowerEngines(network, plan))


class Model:
    """A model with its tokenizer and pixel profile.

    `network` is the model of a System, such as a DualEncoder, `config` its ModelConfig, `embed_dim` the width D of the
    embeddings, `most_boxes` how many boxes of an image it takes beside the whole (0: it takes none). Encoding runs in
    evaluation mode and without gradients whatever mode the network is in, and leaves that mode as it was. A model of
    one tower raises ConfigError when the other one is asked for.
    """

    def __init__(
        self,
        network: paddle.nn.Layer,
        tokenizer: Tokenizer | None,
        limits: Limits = DEFAULT_LIMITS,
        engines: TowerEngines | None = None,
    ):
        self.network, self.limits = network, limits
        self.tokenizer = tokenizer
        self.config = network.config
        self.embed_dim = next(width for width in self.config.embed_dims() if width)
        self.most_boxes = system_class(self.config.system).most_boxes(self.config)
        self.engines = engines or TowerEngines(network)

    @property
    def logit_scale(self) -> float:
        """exp(temperature), a float: what cosine similarities are multiplied with."""
        for kind in ("image", "text"):
            self._need(kind)
        return float(self.network.logit_scale().item())

    @property
    def precision(self) -> dict[str, str]:
        """{"image" or "text": fp32, bf16 or int8}, what each tower computes in."""
        return self.engines.precisions

    def tokenize(self, texts: str | Sequence[str]) -> np.ndarray:
        """int64 [N, L] token ids of a text or of several, padded with 0 to the longest, or to config.max_length with
        config.fixed_length; DataError names a position."""
        self._need("text")
        return self.tokenizer.encode(texts)

    def preprocess(self, image: AnyImage) -> np.ndarray:
        """float32 [3, H, W]: the pixels that the image tower sees; raises ImageError."""
        return preprocess(image, self.config.pixels, self.limits)

    def regions(self, image: AnyImage, boxes: Boxes) -> Regions:
        """(float32 [most_boxes + 1, 4], count): the boxes [n, 4] of an image as the network sees them: in pixels of its
        input, the whole input as the last of `count`, zeros after it. Raises ImageError, DataError, ConfigError."""
        (given,) = boxes_of_each(boxes if boxes is not None else [], 1, self.most_boxes)
        return self._reader().read(image, given)[1]

    @overload
    def encode_text(
        self, texts: Texts, normalize: bool = ..., *, batch_size: int | None = ..., on_error: Literal["raise"] = ...
    ) -> np.ndarray: ...
    @overload
    def encode_text(
        self, texts: Texts, normalize: bool = ..., *, batch_size: int | None = ..., on_error: Literal["skip"]
    ) -> WithFailures: ...
    def encode_text(
        self, texts: Texts, normalize: bool = True, *, batch_size: int | None = None, on_error: str = "raise"
    ) -> np.ndarray | WithFailures:
        """Embeddings float32 [N, D] of one text (N = 1) or of an iterable of texts; L2-normalised unless told not to.

        Texts are batched by length and padded to the longest of the batch, so that a caption costs what its own tokens
        cost. What is no text, or an empty one, raises DataError naming its position (from 0); with on_error="skip" its
        row is NaN, and the result is (embeddings, [(position, reason), ...]).
        """
        self._need("text")
        texts = listed(texts, (str, bytes))
        failures = Failures("text", on_error)
        engine = self.engines.of("text")
        size, workers = self._split("text", engine, len(texts), batch_size)
        batches = self._text_batches(texts, size, failures)
        return self._embed(len(texts), batches, engine, workers, normalize, failures)

    @overload
    def encode_image(
        self,
        images: Images,
        normalize: bool = ...,
        *,
        boxes: Boxes = ...,
        batch_size: int | None = ...,
        on_error: Literal["raise"] = ...,
    ) -> np.ndarray: ...
    @overload
    def encode_image(
        self,
        images: Images,
        normalize: bool = ...,
        *,
        boxes: Boxes = ...,
        batch_size: int | None = ...,
        on_error: Literal["skip"],
    ) -> WithFailures: ...
    def encode_image(
        self,
        images: Images,
        normalize: bool = True,
        *,
        boxes: Boxes = None,
        batch_size: int | None = None,
        on_error: str = "raise",
    ) -> np.ndarray | WithFailures:
        """Embeddings float32 [N, D] of one image (N = 1) or of an iterable of images; L2-normalised unless told not to.

        An image is a path, a data: URI, the bytes of a file, a file open for bytes (read from its start), a PIL image
        or an RGB uint8 array [H, W, 3]. What cannot be decoded raises ImageError naming its position (from 0); with
        on_error="skip" as in `encode_text`.
        boxes: (x1, y1, x2, y2) in pixels of the image as it is stored, [n, 4] for one image, or a list with [n, 4] or
        None for each; None is what the model directory says, the whole image or a grid. Boxes that are none raise
        DataError as a broken image does; boxes for a model that takes none, or another number of entries, ConfigError.
        """
        self._need("image")
        images = listed(images, (str, os.PathLike, bytes, bytearray, memoryview), single_image)
        failures = Failures("image", on_error)
        engine = self.engines.of("image")
        size, workers = self._split("image", engine, len(images), batch_size)
        each = boxes_of_each(boxes, len(images), self.most_boxes)
        batches = self._reader().batches(images, each, size, failures, self.default_boxes(), engine.boxed)
        return self._embed(len(images), batches, engine, workers, normalize, failures, self._pixels)

    def _pixels(self, crops, *regions):
        return normalise(crops, self.config.pixels), *regions

    def _reader(self):
        return ImageReader(self.config.pixels, self.limits, self.most_boxes)

    def default_boxes(self) -> np.ndarray:
        """float32 [m, 4]: what stands for an image without boxes, in pixels of the network's input."""
        whole = np.array([[0, 0, self.config.pixels.size, self.config.pixels.size]], np.float32)
        return np.asarray(getattr(self.network, "default_boxes", lambda: whole)())

    def _need(self, kind):
        if kind not in self.config.towers():
            raise ConfigError(f"this model has no {kind} tower; load one that has both, or train it with its fellow")

    def _split(self, kind, engine, count, batch_size):
        """(items of a batch, workers): as few and as equal batches as keep every worker busy."""
        on_cpu = device_of(next(self.network.named_parameters())[1]).is_cpu  # listing all takes 1 ms
        most = (CPU_BATCH if on_cpu else GPU_BATCH)[kind] if batch_size is None else batch_size
        if isinstance(most, bool) or not isinstance(most, (int, np.integer)) or most < 1:
            raise ConfigError(f"batch_size is {batch_size!r}, but it must be a whole number of at least 1")
        workers = max(1, min(engine.most_workers, thread_count(), count))
        rounds = -(-count // (int(most) * workers))
        return max(1, -(-count // max(1, rounds * workers))), workers

    def _text_batches(self, texts, size, failures):
        """Yield (positions, (token ids [B, L],)), longest first within a window."""
        for start in range(0, len(texts), WINDOW):
            window = range(start, min(start + WINDOW, len(texts)))
            positions = []
            for position in window:
                if failures.passes(position, text_fault(texts[position])):
                    positions.append(position)
            if not positions:
                continue
            ids = self.tokenizer.encode([texts[position] for position in positions])
            lengths = np.count_nonzero(ids != self.tokenizer.pad_id, axis=1)
            order = np.argsort(-lengths, kind="stable")
            for part in (order[first : first + size] for first in range(0, len(order), size)):
                width = ids.shape[1] if self.tokenizer.fixed_length else lengths[part[0]]
                yield np.take(positions, part), (ids[part, :width],)

    def _embed(self, count, batches, engine, workers, normalize, failures, prepared=lambda *arrays: arrays):
        """Run (positions, arrays) batches through the engine; rows that no batch names stay NaN."""
        embeds = np.full((count, self.embed_dim), np.nan, dtype=np.float32)
        with engine.session(workers) as session:

            def run(batch):
                positions, arrays = batch
                return positions, session.run(*prepared(*arrays))

            for positions, rows in ordered_map(run, batches, workers, ahead=workers, prepare=session.prepare):
                embeds[positions] = rows
        if normalize:
            unit_rows(embeds)
        return embeds if failures.raising else (embeds, failures.found)
