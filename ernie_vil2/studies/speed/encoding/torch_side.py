"""torch's side, in an interpreter of its own: files are decoded and captions are cut by this library's functions, in
threads beside the forward passes; weights are those of the model directory."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ....checkpoints.model_directory import open_model
from ....config.model import ModelConfig
from ....config.towers import SIDES
from ....data.images.pixels import preprocess
from ....data.tokenizer import Tokenizer
from ....errors import UserError
from ....inference.engines.processor import this_processor
from ....runtime import cpu_count
from ....threads import ordered_map
from ...operations import has_counts
from ..turns.answers import seconds
from .encoder import serve, unit

if TYPE_CHECKING:
    import torch

START = "from ernie_vil2.studies.speed.encoding import torch_side; torch_side.main()"
BATCH = {"images": 8, "short": 32, "long": 32}
TRIALS = 3
"""Passes of each way to compute, the first of which is not counted"""


@dataclass(frozen=True)
class Way:
    """A way to compute: towers, the context they run in, and how many batches side by side share the cores."""

    name: str
    towers: "Mapping[str, torch.nn.Module]"
    context: Callable[[], contextlib.AbstractContextManager]
    streams: int = 1


class TorchEncoder:
    """Encodes with torch on all cores, each kind by the way that is fastest here, which `told` names.

    Raises UserError where it cannot, for the processor or for the model.
    """

    def __init__(self, job: Mapping[str, Any]):
        state, config, vocabulary = open_model(job["model"])
        if not has_counts(config):
            raise UserError("the towers of torch are vit and ernie, and this model has others, or layers beside them")
        if job["precision"] == "bf16" and not this_processor().bf16:
            raise UserError(f"this processor does not compute in bf16; it has {this_processor().told}")
        rules = config.max_length, config.lower_case, config.tokenizer, config.fixed_length
        self.config, self.tokenizer = config, Tokenizer(vocabulary, *rules)
        self.ways: dict[str, Way] = {}
        choice, items = ways(towers(config, state), job["precision"]), job["captions"] | {"images": job["photos"]}
        for kind, size in BATCH.items():
            self.take_fastest(kind, items[kind][: size * cpu_count()], choice)
        self.told = "; ".join(f"{kind}: {way.name}" for kind, way in self.ways.items())

    def take_fastest(self, kind: str, items: Sequence[str], choice: Sequence[Way]) -> None:
        """Encode a kind from here on by the way that these items are done by first."""
        took = {}
        for number, way in enumerate(choice):
            self.ways[kind] = way
            took[number] = min([seconds(lambda: self.encode(kind, items)) for _ in range(TRIALS)][1:])
        self.ways[kind] = choice[min(took, key=took.get)]

    def encode(self, kind: str, items: Sequence[str]) -> np.ndarray:
        import torch

        way, size = self.ways[kind], BATCH[kind]
        tower = way.towers["image" if kind == "images" else "text"]
        streams = way.streams if len(items) > size else 1

        def forward(batch: np.ndarray) -> np.ndarray:
            with torch.inference_mode(), way.context():
                return tower(torch.from_numpy(batch)).float().numpy()

        def share_cores() -> None:
            torch.set_num_threads(max(1, cpu_count() // streams))

        share_cores()
        return unit(
            np.concatenate(list(ordered_map(forward, self.batches(kind, items), streams, streams, share_cores)))
        )

    def batches(self, kind: str, items: Sequence[str]) -> Iterator[np.ndarray]:
        """Pixels float32 [B, 3, S, S] or token ids int64 [B, L]; images are decoded ahead by threads."""
        size = BATCH[kind]
        if kind != "images":
            ids = self.tokenizer.encode(items)
            yield from (ids[first : first + size] for first in range(0, len(ids), size))
            return
        made = ordered_map(lambda path: preprocess(path, self.config.pixels), items, cpu_count(), ahead=2 * size)
        while batch := list(islice(made, size)):
            yield np.stack(batch)


def ways(towers: "Mapping[str, torch.nn.Module]", precision: str) -> list[Way]:
    """What may be fastest: in bf16 converted weights or autocast, and one batch on all cores or one on each."""
    import torch

    casts = [Way("fp32", towers, contextlib.nullcontext)]
    if precision == "bf16":
        converted = {name: copy.deepcopy(tower).to(torch.bfloat16) for name, tower in towers.items()}
        casts = [
            Way("weights in bf16", converted, contextlib.nullcontext),
            Way("autocast", towers, lambda: torch.autocast("cpu", torch.bfloat16)),
        ]
    found = []
    for cast in casts:
        found.append(replace(cast, name=f"{cast.name} on all cores"))
        if cpu_count() > 1:
            found.append(replace(cast, name=f"{cast.name}, a batch a core", streams=cpu_count()))
    return found


def towers(config: ModelConfig, state: Mapping[str, np.ndarray]) -> "dict[str, torch.nn.Module]":
    """{"image": module, "text": module} of a model, in evaluation mode."""
    from ..torch_towers import Ernie, VisionTransformer

    found = {}
    for name, kind in (("image", VisionTransformer), ("text", Ernie)):
        own = {key.removeprefix(SIDES[name]): state[key] for key in state if key.startswith(SIDES[name])}
        found[name] = kind(config.towers()[name], own).eval().requires_grad_(False)
    return found


def main() -> None:
    """The process of a side of torch."""
    serve(TorchEncoder)
