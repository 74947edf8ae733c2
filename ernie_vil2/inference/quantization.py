"""A model's towers in int8: calibrated on images and captions of the user, and kept where `load` finds them."""

import logging
import os
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.images.inputs import AnyImage
from ..device import current_device
from ..errors import ConfigError, DataError
from ..files.leftovers import scratch_folder
from ..messages import brief
from ..versions import installed_version
from .batch_sizes import CPU_BATCH
from .engines.calibration import LEAST, Batches, Recording
from .engines.choice import DYNAMIC, OPENVINO, PLURALS, beside_int8, choose
from .engines.int8_graph import NNCF, check_installed, write_int8
from .engines.int8_record import Int8Record
from .engines.processor import this_processor
from .engines.tower_engines import Plan, TowerEngines, named
from .model import Model, load

LOG = logging.getLogger("ernie_vil2")


def quantize_model(
    path: str | os.PathLike,
    images: Iterable[AnyImage] = (),
    texts: Iterable[str] = (),
    towers: Collection[str] | None = None,
    vocab: str | os.PathLike | None = None,
    damaged: str = "skip",
) -> dict[str, Path]:
    """Quantise towers of the model at a path and keep them beside it, unmeasured: {"image" or "text": folder}.

    images, texts: at least 32 that can be used for each of `towers`, by default those of the model; a few hundred of
    the user's own are best. vocab, damaged: as in `load`. Raises ConfigError without NNCF and for a tower that has no
    graph, DataError for too few items. Measuring what it costs is ernie-vil2 quantize's (docs/engines.md).
    """
    model = quantizable(path, vocab, damaged)
    items = {"image": list(images), "text": list(texts)}
    with scratch_folder("quantize") as scratch:
        return {
            kind: keep(model, kind, folder, record_of("int8", count))
            for kind, (folder, count) in quantize_towers(model, items, towers_of(model, towers), scratch).items()
        }


def quantizable(path: str | os.PathLike, vocab: str | os.PathLike | None = None, damaged: str = "skip") -> Model:
    """The model at a path in fp32, on the engine whose graphs are quantised; a warning where int8 gains little."""
    check_installed()
    model = load(path, vocab, damaged, OPENVINO)
    processor = this_processor()
    if not processor.int8:
        LOG.warning(
            "%s",
            f"this processor has {processor.told}, and no instruction for products of int8 (VNNI or AMX): what is "
            "quantized may be no faster here, but is so where there is one",
        )
    return model


def towers_of(model: Model, asked: Collection[str] | None) -> tuple[str, ...]:
    """Those of a model's towers that are asked for; ConfigError where it lacks one."""
    has = model.config.towers()
    for kind in asked or ():
        if kind not in has:
            raise ConfigError(f"this model has no {kind} tower to quantize; give --towers {','.join(has)}")
    return tuple(kind for kind in has if asked is None or kind in asked)


def quantize_towers(
    model: Model,
    items: Mapping[str, Sequence[Any]],
    towers: Collection[str],
    scratch: Path,
    boxes: Sequence[Any] | None = None,
) -> dict[str, tuple[Path, int]]:
    """{tower: (folder below `scratch` with its int8 graph, how many items it was calibrated on)}.

    items: {"image": ..., "text": ...} as `encode_image` and `encode_text` take them; those that are broken count for
    nothing. boxes: of each image, for a model that takes some.
    """
    from .engines.openvino_engine import GRAPH

    calibrations = {kind: calibration(model, kind, items[kind], boxes) for kind in towers}
    graphs = {}
    for kind in towers:
        engine, choice = model.engines.of(kind), model.engines.choices[kind]
        if choice.engine == DYNAMIC:
            raise ConfigError(brief(f"the {kind} tower cannot be quantized, {choice.why}; leave it out with --towers"))
        graphs[kind] = engine.folder / GRAPH
    found = {}
    for kind, batches in calibrations.items():
        (folder := scratch / kind).mkdir()
        write_int8(graphs[kind], batches, folder / GRAPH)
        found[kind] = folder, sum(len(arrays[0]) for arrays in batches)
    return found


def calibration(model: Model, kind: str, items: Sequence[Any], boxes: Sequence[Any] | None = None) -> Batches:
    """What a tower is given when items are encoded; DataError where fewer than LEAST of them can be."""
    recording = Recording(model.embed_dim, kind == "image" and model.most_boxes > 0)
    recorder = Model(model.network, model.tokenizer, model.limits, recording)
    size = CPU_BATCH[kind]
    if kind == "text":
        _, failures = recorder.encode_text(items, on_error="skip", batch_size=size)
    else:
        _, failures = recorder.encode_image(items, boxes=boxes, on_error="skip", batch_size=size)
    usable = len(items) - len(failures)
    if usable < LEAST:
        first = f", the first that cannot be used: {failures[0][1]}" if failures else ""
        raise DataError(
            brief(f"calibration needs at least {LEAST} {PLURALS[kind]} and has {usable}; give more of them{first}")
        )
    return recording.batches


def with_int8(model: Model, folders: Mapping[str, Path]) -> Model:
    """A model with the int8 graphs in these folders, and bf16, or fp32, for what has none."""
    device = current_device()
    choices = {
        kind: choose(OPENVINO, "int8" if kind in folders else beside_int8(), device, quantised=True)
        for kind in model.config.towers()
    }
    plan = Plan(choices, model.engines.plan.cache, folders, model.most_boxes)
    return Model(model.network, model.tokenizer, model.limits, TowerEngines(model.network, plan))


def record_of(precision: str, calibrated: int, cost: float | None = None, validated: int = 0) -> Int8Record:
    """The record of a tower that was quantised now."""
    return Int8Record(precision, calibrated, cost, validated, installed_version(NNCF) or "none")


def keep(model: Model, kind: str, folder: Path | None, record: Int8Record) -> Path:
    """Keep a tower's int8 graph with the model, or the record alone, in place of an older one; where it is kept."""

    def build(made: Path) -> None:
        if folder is not None:
            shutil.copytree(folder, made, dirs_exist_ok=True)
        record.write(made)

    cache = model.engines.plan.cache
    return cache.write(*named(cache, model.config, kind, "int8", model.most_boxes), build)
