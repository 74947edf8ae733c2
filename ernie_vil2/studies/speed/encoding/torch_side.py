"""torch's side, in an interpreter of its own: files are decoded and captions are cut by this library's functions, in
threads beside the forward passes; weights are those of the model directory."""

import contextlib
import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ....checkpoints.model_directory import open_model
from ....config.model import ModelConfig
from ....config.towers import SIDES
from ....data.images.pixels import preprocess
from ....data.tokenizer import Tokenizer
from ....errors import UserError
from ....runtime import cpu_count
from ....threads import ordered_map
from ...operations import has_counts
from .answers import seconds, serve, unit

if TYPE_CHECKING:
    import torch

START = "from ernie_vil2.studies.speed.encoding import torch_side; torch_side.main()"
BATCH = {"image": 8, "text": 32}
TRIALS = 3
"""Passes of each way to compute in bf16, of which the faster way is taken"""


class TorchEncoder:
    """Encodes with torch on all cores. Raises UserError where it cannot, for the processor or for the model."""

    told = ""

    def __init__(self, job: Mapping[str, Any]):
        import torch

        state, config, vocabulary = open_model(job["model"])
        if not has_counts(config):
            raise UserError("the towers of torch are vit and ernie, and this model has others, or layers beside them")
        if job["precision"] == "bf16" and not torch.cpu.get_capabilities().get("avx512_bf16"):
            raise UserError("this processor does not compute in bf16")
        torch.set_num_threads(cpu_count())
        rules = config.max_length, config.lower_case, config.tokenizer, config.fixed_length
        self.config, self.tokenizer = config, Tokenizer(vocabulary, *rules)
        self.towers, self.context = towers(config, state), contextlib.nullcontext
        if job["precision"] == "bf16":
            self.take_faster(job["photos"][: BATCH["image"]])

    def take_faster(self, photos: Sequence[str]) -> None:
        """Weights in bf16, or autocast of those in fp32: the way by which images are done first."""
        import torch

        cast = {name: copy.deepcopy(tower).to(torch.bfloat16) for name, tower in self.towers.items()}
        ways = {
            "weights in bf16": (cast, contextlib.nullcontext),
            "autocast": (self.towers, lambda: torch.autocast("cpu", torch.bfloat16)),
        }
        took = {}
        for name, way in ways.items():
            self.towers, self.context = way
            took[name] = min([seconds(lambda: self.images(photos)) for _ in range(TRIALS + 1)][1:])
        self.told = min(took, key=took.get)
        self.towers, self.context = ways[self.told]

    def images(self, paths: Sequence[str]) -> np.ndarray:
        return self.encode("image", paths, lambda path: preprocess(path, self.config.pixels))

    def texts(self, captions: Sequence[str]) -> np.ndarray:
        return self.encode("text", self.tokenizer.encode(captions), lambda row: row)

    def encode(self, tower: str, items: Iterable[Any], read: Callable[[Any], np.ndarray]) -> np.ndarray:
        """Normalised embeddings float32 [N, D] of what `read` makes of the items, batch by batch."""
        import torch

        size, rows = BATCH[tower], []
        made = ordered_map(read, items, cpu_count(), ahead=2 * size)
        with torch.inference_mode(), self.context():
            while batch := list(islice(made, size)):
                rows.append(self.towers[tower](torch.from_numpy(np.stack(batch))).float().numpy())
        return unit(np.concatenate(rows))


def towers(config: ModelConfig, state: Mapping[str, np.ndarray]) -> "dict[str, torch.nn.Module]":
    """{"image": module, "text": module} of a model, in evaluation mode."""
    from .torch_towers import Ernie, VisionTransformer

    found = {}
    for name, kind in (("image", VisionTransformer), ("text", Ernie)):
        own = {key.removeprefix(SIDES[name]): state[key] for key in state if key.startswith(SIDES[name])}
        found[name] = kind(config.towers()[name], own).eval()
    return found


def main() -> None:
    """The process of a side of torch."""
    serve(TorchEncoder)
