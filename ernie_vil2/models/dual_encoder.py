"""Two towers and the learnable temperatures: the one model behind every contrastive system here."""

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import paddle
from paddle import nn

from ..checkpoints.fill import fill_parameters
from ..checkpoints.formats.lazy_tensors import spec_of
from ..config.model import ModelConfig
from ..config.tower_fields import Tower
from ..config.towers import KINDS
from ..errors import CheckpointError, ConfigError
from .layers import initialise

INITIAL_TEMPERATURE = 2.65926
INITIAL_BIAS = -10.0
MAX_TEMPERATURE = math.log(100.0)


class Temperature(nn.Layer):
    """A learnable temperature; `logit_scale = exp(temperature_b)`, initial value of the release (logit scale 14.29).

    biased: with a learnable `bias_b` too, as the sigmoid loss needs it (initial value of SigLIP, arXiv 2303.15343).
    """

    def __init__(self, biased: bool = False):
        super().__init__()
        self.temperature_b = self.create_parameter([1])
        self.temperature_b.set_value(paddle.to_tensor([INITIAL_TEMPERATURE]))
        self.bias_b = self.create_parameter([1]) if biased else None
        if biased:
            self.bias_b.set_value(paddle.to_tensor([INITIAL_BIAS]))

    def clamp(self) -> None:
        """Put the stored value back into [0, ln 100]; to be called after every optimizer step."""
        with paddle.no_grad():
            self.temperature_b.set_value(self.temperature_b.clip(0.0, MAX_TEMPERATURE))

    def forward(self) -> paddle.Tensor:
        """logit_scale, a tensor [1]."""
        return self.temperature_b.exp()


def layer_of(config: Tower) -> nn.Layer:
    """The layer of a tower of any kind."""
    return KINDS[config.kind].built(config)


def checked(raw: paddle.Tensor, inputs: paddle.Tensor, tower: Tower, side: str) -> paddle.Tensor:
    """The embeddings [B, D] that a tower gave; ConfigError where they are something else, as a user's own layer's may
    be."""
    found, wanted = list(getattr(raw, "shape", ())), [inputs.shape[0], tower.embed_dim()]
    if found != wanted:
        what = found if isinstance(raw, paddle.Tensor) else f"a {type(raw).__name__}"
        raise ConfigError(
            f"model.{side}_tower of kind {tower.kind} gave {what} where raw embeddings {wanted} belong; correct its "
            "forward, or its width and projection"
        )
    return raw


class DualEncoder(nn.Layer):
    """Image tower, text tower and temperatures, with the release's state-dict keys.

    `groups` names the temperatures: mm (cross-modal, the release's), ii (image-image), tt (text-text); biased: each
    has a bias, for the sigmoid loss. A model of one tower has the other as None, and no temperature.
    """

    def __init__(self, config: ModelConfig, groups: Iterable[str] = ("mm",), biased: bool = False):
        super().__init__()
        self.config = config
        self._recompute = False
        self.visual = config.image_tower and layer_of(config.image_tower)
        self.text_model = config.text_tower and layer_of(config.text_tower)
        self.groups = tuple(groups) if len(config.towers()) == 2 else ()
        for group in self.groups:
            setattr(self, f"contrastive_loss_{group}", Temperature(biased))

    @property
    def recompute(self) -> bool:
        """Whether the blocks of both towers keep their input only, and compute the rest again for the gradient."""
        return self._recompute

    @recompute.setter
    def recompute(self, value: bool) -> None:
        self._recompute = value
        for layer in self.sublayers():
            if hasattr(layer, "recompute"):
                layer.recompute = value

    def encode_image(self, pixels: paddle.Tensor) -> paddle.Tensor:
        """pixels float32 [B, 3, S, S] -> raw embeddings [B, D]."""
        return checked(self.visual(pixels), pixels, self.config.image_tower, "image")

    def encode_text(self, ids: paddle.Tensor) -> paddle.Tensor:
        """token ids int64 [B, L] -> raw embeddings [B, D]."""
        return checked(self.text_model(ids), ids, self.config.text_tower, "text")

    def temperature(self, group: str = "mm") -> Temperature:
        """The Temperature layer of a group."""
        return getattr(self, f"contrastive_loss_{group}")

    def logit_scale(self, group: str = "mm") -> paddle.Tensor:
        """exp(temperature) of a group, a tensor [1] that carries gradient."""
        return self.temperature(group)()

    def logit_bias(self, group: str = "mm") -> paddle.Tensor:
        """The bias of a group, a tensor [1] that carries gradient."""
        return self.temperature(group).bias_b

    def clamp_temperatures(self) -> None:
        """Clamp every temperature for real, in place."""
        for group in self.groups:
            self.temperature(group).clamp()

    def forward(self, pixels: paddle.Tensor, ids: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
        """Raw embeddings (image [B, D], text [B, D])."""
        return self.encode_image(pixels), self.encode_text(ids)


@contextlib.contextmanager
def uninitialised() -> Iterator[None]:
    """Layers built inside start as zeros: for weights that are loaded next, random numbers would only cost time."""
    nn.initializer.set_global_initializer(nn.initializer.Constant(0.0), nn.initializer.Constant(0.0))
    try:
        yield
    finally:
        nn.initializer.set_global_initializer(None)


def check_amount(parts: Mapping[str, int], state: Mapping[str, Any], where: str | os.PathLike) -> None:
    """CheckpointError, before anything is built, where {part: its parameters} are far more than a state holds."""
    described, held = sum(parts.values()), sum(math.prod(spec_of(state, key).shape) for key in state)
    if described > 1.2 * held + 1e6:
        raise CheckpointError(
            f"{where} holds {held:,} numbers, but its configuration describes a model of {described:,}; copy or "
            "convert it again"
        )


def fill(network: nn.Layer, state: Mapping[str, Any], where: str | os.PathLike) -> None:
    """Set every tensor of a network from {key: array}, one at a time; CheckpointError names those that a tower of
    another library needs and that are missing or mis-shaped, which `release_layout.check` cannot know."""
    wrong = fill_parameters(network.state_dict(), state)
    if wrong:
        missing = [f"{key} is missing" for key, found, _ in wrong if found is None]
        other = [f"{key} is {list(found)} and not {list(wanted)}" for key, found, wanted in wrong if found is not None]
        raise CheckpointError(
            f"{where} does not fit its model: {'; '.join(missing + other)}; it was written with another version of "
            "the library of a tower, or of its system: install that one"
        )


def new_model(
    config: ModelConfig,
    groups: Iterable[str] = ("mm",),
    seed: int = 0,
    biased: bool = False,
    network: Callable[..., nn.Layer] = DualEncoder,
) -> nn.Layer:
    """`network(config, groups, biased)` with random starting values that depend on `seed` alone."""
    paddle.seed(seed)
    with uninitialised():
        model = network(config, groups, biased)
    initialise(model)
    return model
