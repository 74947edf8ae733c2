"""Points 2 to 4: the gradient cache, half precision and O2 in whole steps of a small trained model, against fp32.

Everything goes through `training.rig`: what a training run does is what is measured.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ernie_vil2.config.augmentation import AugmentationConfig
from ernie_vil2.config.run import RunConfig
from ernie_vil2.data.batches.views import Batch, ViewMaker
from ernie_vil2.data.sources.scenes.source import SceneSource
from ernie_vil2.data.sources.scenes.vocabulary import build_vocab
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.device import current_device
from ernie_vil2.schema import build as build_record
from ernie_vil2.systems.registry import system_class
from ernie_vil2.training.optimization.gradients import Gradients
from ernie_vil2.training.rig import Rig, build
from tests.gpu.records import Figure, Record

PAIRS = [["image", "caption"], ["image", "tags"], ["image", "image'"], ["caption", "caption'"], ["caption", "tags"]]
SMALL = {"width": 128, "heads": 2, "depth": 4}
COSINES = {"bf16": 0.999, "fp16": 0.9999}
"""Emulated rounding gives a whole gradient of cosine 0.99969 in bf16 and 0.99999 in fp16 to that of fp32."""
TEMPERATURE = "contrastive_loss"


def run_config(
    folder: Path, tower: dict | None = None, dropout: float = 0.0, lr: float = 1e-3, clip: float = 0.0, **train
) -> RunConfig:
    """The configuration of a run on drawn scenes, whose vocabulary is in the folder; train: keys of `train`."""
    vocab = folder / "vocab.txt"
    if not vocab.exists():
        build_vocab(vocab, scenes=300)
    tower = {**SMALL, **(tower or {}), "dropout": dropout, "drop_path": dropout}
    data = {
        "output": str(folder / "run"),
        "model": {
            "max_length": 32,
            "pixels": {"size": 32},
            "image_tower": {**tower, "image_size": 32, "patch_size": 8},
            "text_tower": {**tower, "vocab_size": Tokenizer(vocab, 32).vocab_size, "positions": 32},
        },
        "data": {"train": {"kind": "scenes", "size": 256, "image_size": 32}, "vocab": str(vocab)},
        "objective": {"pairs": PAIRS},
        "optimizer": {"lr": lr, "warmup": 0, "schedule": "constant", "clip": clip},
        "train": {"steps": 1000, "batch_size": 32, **train},
    }
    return build_record(RunConfig, data, "the point")


def scene_batch(config: RunConfig) -> Batch:
    """The first global batch of drawn scenes, augmented."""
    size, model, system = config.train.batch_size, config.model, system_class(config.model.system)
    tokenizer = Tokenizer(config.data.vocab, model.max_length, fixed_length=model.fixed_length)
    views = system.objective_of(config).views
    maker = ViewMaker(views, tokenizer, model.pixels, AugmentationConfig(), boxes=system.most_boxes(model))
    source = SceneSource(size=size, image_size=config.model.pixels.size)
    return maker.collate([maker.make(source[index], 0, index) for index in range(size)])


def gradients_of(rig: Rig, batch: Batch, number: int = 0) -> dict[str, np.ndarray]:
    """{name: float32 array}: what the optimizer is given in step `number`, whose update is left out."""
    found = {}

    def note(gradients: Gradients, rate: float) -> None:
        found.update({name: value.numpy().copy() for name, value in gradients.named().items()})

    rig.optimizer.step = note
    try:
        rig.step(batch, number, show=False)
    finally:
        del rig.optimizer.step
    return found


def bf16(array: np.ndarray) -> np.ndarray:
    """float32 array whose values are those of bf16 nearest to the given ones, ties to even."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


def trained_weights(config: RunConfig, batch: Batch, steps: int = 15) -> dict[str, np.ndarray]:
    """{name: float32 array} of a model whose embeddings agree, in values that bf16 has, so that O2 starts alike."""
    rig = build(config)
    for number in range(steps):
        rig.step(batch, number, show=False)
    rig.close()
    return {name: bf16(value) for name, value in rig.weights.arrays().items()}


def take_weights(rig: Rig, weights: dict[str, np.ndarray]) -> None:
    """Put these weights into the model, and under O2 into the masters."""
    with rig.weights.shown():
        for name, parameter in rig.model.named_parameters():
            parameter.set_value(weights[name])
    rig.weights.round()


def gradient(config: RunConfig, weights: dict[str, np.ndarray], batch: Batch) -> dict[str, np.ndarray]:
    """`gradients_of` a new rig of the configuration, with these weights."""
    rig = build(config)
    take_weights(rig, weights)
    try:
        return gradients_of(rig, batch)
    finally:
        rig.close()


def flat(gradients: dict[str, np.ndarray]) -> np.ndarray:
    """All gradients but those of the temperatures as one float64 vector, in the order of names."""
    names = [name for name in sorted(gradients) if not name.startswith(TEMPERATURE)]
    return np.concatenate([gradients[name].ravel().astype(np.float64) for name in names])


def agreement(
    found: dict[str, np.ndarray], wanted: dict[str, np.ndarray], cosine: float, ratio: float
) -> dict[str, Figure]:
    """Cosine and norm of a gradient against another one, with their limits; temperatures apart, with none."""
    if set(found) != set(wanted):
        return {"parameters with a gradient": Figure(len(found), f"of {len(wanted)}", least=len(wanted) + 1)}
    ours, theirs = flat(found), flat(wanted)
    norms = np.linalg.norm(ours), np.linalg.norm(theirs)
    figures = {
        "cosine": Figure(float(ours @ theirs / norms[0] / norms[1]), least=cosine),
        "norm": Figure(float(norms[0] / norms[1]), "of that of fp32", most=1 + ratio, least=1 - ratio),
    }
    for name in sorted(found):
        if name.startswith(TEMPERATURE):
            error = abs(found[name] - wanted[name]) / abs(wanted[name])
            figures[f"error of {name}"] = Figure(float(error.max()), "of it")
    return figures


def encodings(rig: Rig, batch: Batch, number: int) -> dict[tuple[int, str], list[np.ndarray]]:
    """{(first row of a chunk, view): every time that it was encoded in this step, in order}."""
    seen, encode = defaultdict(list), rig.system.encode

    def noted(part, *arguments, **named):
        embeds = encode(part, *arguments, **named)
        for view, value in embeds.items():
            seen[int(part.index[0]), view].append(value.detach().astype("float32").numpy())
        return embeds

    rig.system.encode = noted
    try:
        gradients_of(rig, batch, number)
    finally:
        del rig.system.encode
    return dict(seen)


def spread(groups: list[list[np.ndarray]]) -> float:
    """The largest difference within any group of arrays; infinite where a group has one array only."""
    if any(len(group) < 2 for group in groups):
        return float("inf")
    return max(float(np.abs(one - group[0]).max()) for group in groups for one in group)


def precisions(wanted: tuple[str, ...]) -> list[str]:
    """Those of them that the device has."""
    return [name for name in wanted if name in current_device().precisions]


def cache(
    folder: Path, wanted: tuple[str, ...] = ("fp32", "bf16"), tower: dict | None = None, size: int = 32
) -> Iterator[Record]:
    """Point 2: with dropout 0.1 a chunk that is encoded again has the same embeddings, also with recompute."""
    for name in precisions(wanted):
        keys = {"precision": name, "batch_size": size, "micro_batch": size // 4}
        rigs = [build(run_config(folder, tower, 0.1, **keys, recompute=again)) for again in (False, True)]
        batch = scene_batch(rigs[0].config)
        first, again, other = (encodings(rigs[0], batch, number) for number in (0, 0, 1))
        masks = min(spread([[first[key][0], other[key][0]]]) for key in first)
        yield Record(
            "cache",
            name,
            {
                "difference of a chunk's embeddings, once more": Figure(spread([*first.values()]), most=0.0),
                "of the same step, taken twice": Figure(spread([first[key] + again[key] for key in first]), most=0.0),
                "of another step, so of other masks": Figure(masks, least=1e-4),
            },
            "dropout of a chunk is drawn again as it was, so the gradient cache is exact",
        )
        seen = encodings(rigs[1], batch, 0)
        two = [gradients_of(rig, batch, 0) for rig in rigs]
        error = np.linalg.norm(flat(two[1]) - flat(two[0])) / np.linalg.norm(flat(two[0]))
        yield Record(
            "cache",
            f"{name}, recompute",
            {
                "difference of a chunk's embeddings": Figure(
                    spread([first[key] + seen[key] for key in first]), most=0.0
                ),
                "difference of the gradient": Figure(float(error), "of its norm", 1e-5 if name == "fp32" else 1e-2),
            },
            "blocks that run again in the backward pass draw the same masks",
        )
        for rig in rigs:
            rig.close()


def half_precision(
    folder: Path, wanted: tuple[str, ...] = ("bf16", "fp16"), tower: dict | None = None, size: int = 32
) -> Iterator[Record]:
    """Point 3: the gradient of a whole step in half precision (O1) points where that of fp32 does."""
    base = run_config(folder, tower, batch_size=size)
    batch = scene_batch(base)
    weights = trained_weights(run_config(folder, tower, lr=2e-3, clip=1.0, batch_size=size), batch)
    exact = gradient(base, weights, batch)
    yield from against_the_processor(base, weights, batch, exact)
    for name in wanted:
        if name not in current_device().precisions:
            yield Record("step", name, reason=f"this device has no {name}", lacking=True)
            continue
        for recompute in (False, True):
            config = run_config(folder, tower, precision=name, batch_size=size, recompute=recompute)
            yield Record(
                "step",
                f"{name} O1{', recompute' * recompute}",
                agreement(gradient(config, weights, batch), exact, COSINES.get(name, 0.999999), 0.02),
                f"a step in {name} learns in the direction of one in fp32",
            )


def against_the_processor(
    config: RunConfig, weights: dict[str, np.ndarray], batch: Batch, found: dict[str, np.ndarray]
) -> Iterator[Record]:
    """The card's fp32 gradient against that of the processor, where everything else of this library is tested."""
    import paddle

    device = current_device()
    if device.is_cpu:
        return
    paddle.set_device("cpu")
    try:
        wanted = gradient(config, weights, batch)
    finally:
        paddle.set_device(device.name)
    figures = agreement(found, wanted, 0.99999, 1e-3)
    yield Record("step", "fp32, card against processor", figures, "what is proven on a processor holds on this card")


def kept_in_fp32(gradients: dict[str, np.ndarray]) -> float:
    """Share of the values, of gradients that are not 0, which bf16 does not have: 0 where they were kept in it."""
    values = flat(gradients).astype(np.float32)
    values = values[values != 0]
    return float((bf16(values) != values).mean())


def chunks(
    folder: Path, size: int = 128, micro: int = 2, tower: dict | None = None, precision: str = "bf16"
) -> Iterator[Record]:
    """Point 4: under O2 the gradient of 64 chunks and 5 pairs of views is summed in fp32."""
    case = f"{precision} O2, {size // micro} chunks, {len(PAIRS)} pairs"
    if precision not in current_device().precisions:
        yield Record("chunks", case, reason=f"this device has no {precision}", lacking=True)
        return
    keys = {"batch_size": size, "micro_batch": micro}
    base = run_config(folder, tower, **keys)
    batch = scene_batch(base)
    weights = trained_weights(run_config(folder, tower, lr=2e-3, clip=1.0, batch_size=size), batch)
    exact = gradient(base, weights, batch)
    o1, o2 = (
        gradient(run_config(folder, tower, precision=precision, amp_level=level, **keys), weights, batch)
        for level in ("O1", "O2")
    )
    figures = agreement(o2, exact, COSINES["bf16"], 0.02)
    figures["values that bf16 has not"] = Figure(kept_in_fp32(o2), "of all", least=0.5)
    error = np.linalg.norm(flat(o2) - flat(o1)) / np.linalg.norm(flat(o1))
    figures["difference to O1"] = Figure(float(error), "of its norm")
    yield Record("chunks", case, figures, "weights are in bf16, and the sum of their gradients is not")
