"""The step as a user of torch writes it: towers, contrastive loss over pairs of views, clipping, AdamW."""

import math
import time
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ....config.run import IMAGE_VIEWS, MIN_TEMPERATURE, RunConfig
from ....config.towers import SIDES
from ..torch_towers import Ernie, State, VisionTransformer, parameter

Inputs = Mapping[str, np.ndarray]
"""{view: uint8 [B, S, S, 3] pixels, or int64 [B, L] token ids}"""


def towers(config: RunConfig, state: State) -> nn.ModuleDict:
    """{"image": module, "text": module} that learn."""
    found = {}
    for name, kind in (("image", VisionTransformer), ("text", Ernie)):
        own = {key.removeprefix(SIDES[name]): state[key] for key in state if key.startswith(SIDES[name])}
        found[name] = kind(config.model.towers()[name], own)
    return nn.ModuleDict(found).train()


class TorchStep:
    """`step(inputs)` takes one step of a run from the weights `state`. pairs: as in `Work`. `use` chooses how AdamW
    goes over its parameters."""

    def __init__(self, config: RunConfig, state: State, pairs: Sequence[tuple[str, str, float, str]]) -> None:
        self.config, self.pairs, self.towers = config, pairs, towers(config, state)
        profile = config.model.pixels
        self.mean, self.std = (torch.tensor(values).view(1, 3, 1, 1) for values in (profile.mean, profile.std))
        groups = dict.fromkeys(group for *_, group in pairs)
        self.temperatures = nn.ParameterDict(
            {group: parameter(state[f"contrastive_loss_{group}.temperature_b"]) for group in groups}
        )
        self.parameters = [*self.towers.parameters(), *self.temperatures.values()]
        self.averages = [value.detach().clone() for value in self.parameters] if config.train.ema else []
        self.use("foreach", config.optimizer.lr)

    def use(self, way: str, rate: float) -> None:
        """Begin with a new AdamW at this learning rate; way: fused or foreach."""
        config = self.config.optimizer
        decayed = [value for value in self.parameters if value.ndim > 1]
        others = [value for value in self.parameters if value.ndim < 2]
        groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
        betas = config.beta1, config.beta2
        self.optimizer = torch.optim.AdamW(groups, lr=rate, betas=betas, eps=config.epsilon, **{way: True})

    def __call__(self, inputs: Inputs) -> tuple[float, dict[str, float]]:
        """The loss, and {part: seconds} of the step, "step" of all of it."""
        clock = [time.perf_counter()]
        loss = self.gradients(inputs).item()
        clock.append(time.perf_counter())
        if self.config.optimizer.clip:
            nn.utils.clip_grad_norm_(self.parameters, self.config.optimizer.clip).item()
        clock.append(time.perf_counter())
        self.optimizer.step()
        clock.append(time.perf_counter())
        with torch.no_grad():
            for value in self.temperatures.values():
                value.clamp_(0.0, -math.log(MIN_TEMPERATURE))
            if self.averages:
                torch._foreach_lerp_(self.averages, self.parameters, 1.0 - self.config.train.ema)
        clock.append(time.perf_counter())
        spans = (after - before for before, after in zip(clock, clock[1:], strict=False))
        parts = dict(zip(("gradients", "clip", "AdamW", "rest"), spans, strict=True))
        return loss, {**parts, "step": clock[-1] - clock[0]}

    def gradients(self, inputs: Inputs) -> torch.Tensor:
        """Leave the gradients of a batch in the parameters; returns the loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.embeds(inputs))
        loss.backward()
        return loss

    def embeds(self, inputs: Inputs) -> dict[str, torch.Tensor]:
        """{view: normalised embeddings [B, D]}; the views of a tower go through it together."""
        found = {}
        for name, tower in self.towers.items():
            views = [view for view in inputs if (view in IMAGE_VIEWS) == (name == "image")]
            if views:
                stacked = torch.cat([torch.from_numpy(inputs[view]) for view in views])
                raw = tower(self.normalised(stacked) if name == "image" else stacked)
                found.update(zip(views, F.normalize(raw, dim=-1).chunk(len(views)), strict=True))
        return found

    def normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 [B, S, S, 3] -> float32 [B, 3, S, S]."""
        return (pixels.permute(0, 3, 1, 2).contiguous().float().div_(255.0) - self.mean) / self.std

    def loss(self, embeds: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Symmetric cross entropy over the pairs, by their weights; the positive of a row is its own column."""
        total = 0.0
        for first, second, weight, group in self.pairs:
            logits = self.temperatures[group].exp() * embeds[first] @ embeds[second].T
            own = torch.arange(len(logits))
            total = total + weight * (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2.0
        return total / sum(weight for *_, weight, _ in self.pairs)
