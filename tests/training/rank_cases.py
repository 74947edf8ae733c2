"""One gradient of a trained small model, by one process or by the ranks of a job: what both must agree on."""

import contextlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import paddle

from ernie_vil2.config.augmentation import AugmentationConfig
from ernie_vil2.config.model import ModelConfig, PixelProfile
from ernie_vil2.config.run import ObjectiveConfig
from ernie_vil2.config.tower_fields import ImageTowerConfig, TextTowerConfig
from ernie_vil2.data.batches.views import ViewMaker
from ernie_vil2.data.sources.scenes.source import SceneSource
from ernie_vil2.data.sources.scenes.vocabulary import build_vocab
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.inference.model import Model
from ernie_vil2.keys import stable_hash
from ernie_vil2.models.dual_encoder import new_model
from ernie_vil2.objectives import tiles
from ernie_vil2.objectives.contrastive import ContrastiveObjective
from ernie_vil2.objectives.gather import divide
from ernie_vil2.systems.cookie import Cookie
from ernie_vil2.systems.ernie_vil2 import ErnieVil2
from ernie_vil2.training.distributed import GradientSync, owners
from ernie_vil2.training.optimization.gradients import Gradients
from ernie_vil2.training.optimization.weights import Weights
from ernie_vil2.training.rig import Rig
from ernie_vil2.training.step import GradientStep
from ernie_vil2.training.validation import validate
from tests.gpu.steps import run_config, scene_batch
from tests.objectives import ranking  # noqa: F401 known by its name once it is imported
from tests.systems.cookie_tiny import with_layers
from tests.systems.shared_layer import SharedLayer
from tests.training.emulated_o2 import emulation
from tests.training.step_reads import rank_counts

BATCH, MICRO, TILE = 14, 3, 50
EVERY_PAIR = [
    ["image", "caption"],
    ["image", "tags", 0.5],
    ["image", "image'", 2.0],
    ["caption", "caption'"],
    ["caption", "tags"],
    ["tags", "tags'"],
]
CASES = {
    "image-caption": {"pairs": [["image", "caption"]]},
    "image-tags": {"pairs": [["image", "tags"]]},
    "image-image": {"pairs": [["image", "image'"]]},
    "caption-caption": {"pairs": [["caption", "caption'"]]},
    "caption-tags": {"pairs": [["caption", "tags"]]},
    "tags-tags": {"pairs": [["tags", "tags'"]]},
    "all": {"pairs": EVERY_PAIR},
    "all-shuffled-tags": {"pairs": EVERY_PAIR, "untagged": range(6)},
    "several-positives": {"pairs": EVERY_PAIR, "same": (0, 2, 7, 8, 13)},
    "one-positive": {"pairs": EVERY_PAIR, "same": (0, 2, 7), "positives": "one"},
    "sigmoid": {"pairs": EVERY_PAIR, "same": (0, 2, 7), "loss": "sigmoid"},
    "recompute": {"pairs": EVERY_PAIR, "recompute": True},
    "sharding-1": {"pairs": EVERY_PAIR, "sharding": 1},
    "sharding-2": {"pairs": EVERY_PAIR, "sharding": 2},
    "sharding-2-recompute": {"pairs": EVERY_PAIR, "sharding": 2, "recompute": True, "untagged": (5,)},
    "sharding-1-sigmoid": {"pairs": EVERY_PAIR, "sharding": 1, "loss": "sigmoid", "same": (0, 2)},
    "sigmoid-image-frozen": {"pairs": EVERY_PAIR, "loss": "sigmoid", "frozen": "visual."},
    "text-frozen": {"pairs": EVERY_PAIR, "frozen": "text_model."},
    "temperature-frozen": {"pairs": EVERY_PAIR, "loss": "sigmoid", "frozen": "contrastive_loss"},
    "registered": {"pairs": EVERY_PAIR, "loss": "ranking", "same": (0, 2, 7, 8), "untagged": (5,)},
    "registered-sharding-2": {"pairs": EVERY_PAIR, "loss": "ranking", "sharding": 2, "recompute": True, "same": (1, 4)},
    "registered-lanes": {"pairs": EVERY_PAIR, "loss": "ranking", "lanes": 2, "untagged": (5, 6)},
    "one-chunk": {"pairs": EVERY_PAIR, "micro": 7},
    "one-chunk-recompute": {"pairs": EVERY_PAIR, "micro": 7, "recompute": True},
    "lanes": {"pairs": EVERY_PAIR, "untagged": (5,), "lanes": 2},
    "lanes-one-chunk": {"pairs": EVERY_PAIR, "micro": 7, "lanes": 3},
    "lanes-cookie-sharding-2": {"pairs": EVERY_PAIR, "kind": Cookie, "sharding": 2, "lanes": 2},
    "shared-layer": {"pairs": EVERY_PAIR, "kind": SharedLayer},
    "shared-layer-recompute-sharding-1": {"pairs": EVERY_PAIR, "kind": SharedLayer, "recompute": True, "sharding": 1},
    "shared-layer-sharding-2": {"pairs": EVERY_PAIR, "kind": SharedLayer, "sharding": 2},
    "cookie": {"pairs": EVERY_PAIR, "kind": Cookie},
    "cookie-recompute-sharding-1": {"pairs": EVERY_PAIR, "kind": Cookie, "recompute": True, "sharding": 1},
    "cookie-recompute-sharding-2": {"pairs": EVERY_PAIR, "kind": Cookie, "recompute": True, "sharding": 2},
}
"""Options of the objective, and: frozen, a prefix of parameters that do not learn; untagged, rows without tags; same,
rows that show one image with one caption; lanes, on each of several ranks."""


def setting(folder, pairs, positives="by_id", loss="infonce", untagged=(), same=(), kind=ErnieVil2):
    """(model, objective, Batch of BATCH rows); kind: the class of the system."""
    if not (folder / "vocab.txt").exists():
        build_vocab(folder / "vocab.txt", scenes=300)
    tokenizer = Tokenizer(folder / "vocab.txt", 32)
    tower = {"width": 32, "depth": 2, "heads": 2, "dropout": 0.1, "drop_path": 0.1}
    config = ModelConfig(
        image_tower=ImageTowerConfig(image_size=32, patch_size=8, **tower),
        text_tower=TextTowerConfig(vocab_size=tokenizer.vocab_size, positions=32, **tower),
        max_length=32,
        pixels=PixelProfile(size=32),
    )
    if kind is Cookie:
        config = with_layers(config)
    objective = ContrastiveObjective(ObjectiveConfig(pairs=pairs, positives=positives, loss=loss))
    model = new_model(config, objective.groups, 0, objective.biased, kind.network)
    model.train()
    maker = ViewMaker(objective.views, tokenizer, config.pixels, AugmentationConfig())
    source = SceneSource(size=BATCH, image_size=32)
    batch = maker.collate([maker.make(source[index], 0, index) for index in range(BATCH)])
    for row in same:
        batch.image_ids[row] = batch.image_ids[same[0]]
        if "caption" in batch.text_ids:
            batch.text_ids["caption"][row] = batch.text_ids["caption"][same[0]]
    for view in ("tags", "tags'"):
        if view in batch.present:
            batch.present[view][list(untagged)] = False
    return model, objective, batch


def align(system, batch, steps=15):
    """Train on the batch, so that its embeddings agree: wrong gathers are invisible on random ones."""
    step, model = GradientStep(system, side_by_side=False), system.model
    optimizer = paddle.optimizer.AdamW(2e-3, parameters=model.parameters())
    for number in range(steps):
        first = step(batch, number)["loss"].item()
        optimizer.step()
        optimizer.clear_grad()
        model.clamp_temperatures()
    return first


def start_aligned(folder, system, batch, options):
    """`align`, once for every objective: the weights are kept in the folder for the cases and the jobs that follow."""
    path = folder / f"aligned-{stable_hash(repr(sorted(options.items(), key=str)))}.npz"
    named = dict(system.model.named_parameters())
    if not path.exists():
        align(system, batch)
        np.savez(path, **{key: value.numpy() for key, value in named.items()})
    for key, value in np.load(path).items():
        named[key].set_value(value)


@contextlib.contextmanager
def largest_product():
    """[entries of the largest logits, or sums over them, that the objective makes] once the block is left, with tiles
    of TILE entries."""
    matmul, tile, found = paddle.matmul, tiles.CPU_TILE, [0]

    def watched(x, y, *options, **named):
        product = matmul(x, y, *options, **named)
        if Path(sys._getframe(1).f_code.co_filename).name in ("comparison.py", "tiles.py"):
            found[0] = max(found[0], int(product.size))
        return product

    paddle.matmul, tiles.CPU_TILE = watched, TILE
    try:
        yield found
    finally:
        paddle.matmul, tiles.CPU_TILE = matmul, tile


def gradient(folder, name, ranks):
    """{"loss": value, parameter: gradient} of a case, with the rows divided over `ranks` (Ranks)."""
    options = dict(CASES[name])
    recompute, sharding = options.pop("recompute", False), options.pop("sharding", 0)
    micro, frozen = options.pop("micro", MICRO), options.pop("frozen", None)
    wanted = options.pop("lanes", 1)
    lanes = wanted if ranks.size > 1 else 1
    kind = options.setdefault("kind", ErnieVil2)
    model, objective, batch = setting(folder, **options)
    system = kind(model, objective)
    start_aligned(folder, system, batch, options)
    model.recompute = recompute
    share = divide(BATCH, micro, ranks.rank, ranks.size)
    step = GradientStep(system, seed=3, share=share, side_by_side=lanes > 1, lanes=lanes)
    for key, parameter in model.named_parameters():
        if frozen and key.startswith(frozen):
            parameter.stop_gradient, parameter.grad = True, None
    with largest_product() as largest:
        parts = step(batch.rows(slice(share.start, share.start + share.rows)), 77)
    assert (step.lanes is not None) == (lanes > 1)
    step.close()
    assert options.get("loss") == "ranking" or 0 < largest[0] <= TILE, "a tile, and never its rows times all columns"
    owner = owners(model.named_parameters(), ranks.size) if sharding else {}
    learning = [name for name, value in model.named_parameters() if not value.stop_gradient]
    gradients = Gradients(Weights(model, {name: (owner.get(name, 0),) for name in learning}), owner)
    gradients.collect()
    sync = GradientSync(gradients, ranks, sharding)
    sync.reduce()
    found = {
        name: value.numpy().copy()
        for name, value in gradients.named().items()
        if sync.own is None or owner[name] == ranks.rank
    }
    return {"loss": ranks.sum([parts["loss"].item()]), **found}


def validation(folder, ranks):
    """Embeddings and metrics of a source in which three captions show one image and one image is broken."""
    model, _, _ = setting(folder, EVERY_PAIR)
    tokenizer = Tokenizer(folder / "vocab.txt", 32)
    metrics, found = validate(Model(model, tokenizer), Gallery(size=13, image_size=32), ranks)
    assert bool(metrics) == ranks.main
    everyone = ranks.sum([metrics.get("t2i_r5", 0.0), metrics.get("mean_recall", 0.0)])
    return {"image": found.image, "text": found.text, "owner": found.text_image, "metrics": everyone}


def o2_masters(folder, sharding, ranks):
    """The master weights after three steps under emulated O2."""
    tower = {"width": 32, "depth": 1}
    config = run_config(
        folder,
        tower,
        0.1,
        1e-4,
        precision="bf16",
        amp_level="O2",
        batch_size=BATCH,
        micro_batch=MICRO,
        sharding=sharding,
    )
    share, batch = divide(BATCH, MICRO, ranks.rank, ranks.size), scene_batch(config)
    with emulation():
        rig = Rig(config, ranks, share, [])
        for number in range(3):
            rig.step(batch.rows(slice(share.start, share.start + share.rows)), number, show=False)
        rig.close()
    return rig.weights.arrays()


class Gallery(SceneSource):
    """Scenes of which some show the same image, far apart, and one has no image."""

    def load(self, index):
        sample = super().load(index)
        if index == 4:
            return replace(sample, image=b"no image")
        return replace(sample, id="shared", image=super().load(2).image) if index in (2, 7, 12) else sample


def main(folder, ranks, *names):
    """The named cases on this rank, or everything: arrays under "case/parameter" in folder/rank-R.npz."""
    arrays = {} if names else everything_else(folder, ranks)
    for name in names or CASES:
        for key, value in gradient(folder, name, ranks).items():
            arrays[f"{name}/{key}"] = value
    np.savez(folder / f"rank-{ranks.rank}.npz", **arrays)


def everything_else(folder, ranks):
    """Arrays of validation, of emulated O2 and of what a step asks for."""
    arrays = {f"validation/{key}": value for key, value in validation(folder, ranks).items()}
    for sharding in (1, 2):
        for key, value in o2_masters(folder, sharding, ranks).items():
            arrays[f"o2-sharding-{sharding}/{key}"] = value
    return {**arrays, **rank_counts(folder, ranks)}
