"""What a run refuses: precisions and divisions that would go wrong silently, a vocabulary that does not fit, nan."""

from collections.abc import Iterable

import paddle
from paddle import nn

from ...checkpoints.release_layout import tower_shapes
from ...config.run import RunConfig, TrainConfig
from ...config.tower_fields import Tower
from ...config.towers import KINDS, LIBRARIES, SIDES
from ...device import current_device
from ...errors import ConfigError, UserError
from ...models.masks import Dropout
from ...models.towers.batch_norm import BatchNorm, learns_statistics
from ...objectives.gather import Share
from ...plugins import origin
from ...systems.registry import system_class
from ...systems.system import System

DRAWING = (nn.Dropout, nn.Dropout2D, nn.Dropout3D, nn.AlphaDropout, nn.RReLU)
"""Layers of Paddle that draw from its generator in training"""


def check_precision(config: TrainConfig) -> None:
    """Refuse what would silently stay fp32 or lose gradients: Paddle has no bf16 or fp16 kernels on a CPU, nor both on
    every card, and with fp16 weights (O2) small gradients would vanish when they are unscaled."""
    precision = config.precision
    if precision == "fp16" and config.amp_level == "O2":
        raise ConfigError(
            "train.amp_level O2 with fp16 keeps gradients in fp16, where small ones vanish; set amp_level: O1, or "
            "train.precision: bf16"
        )
    device = current_device()
    if precision in device.precisions:
        return
    if device.is_cpu:
        raise ConfigError(
            f"train.precision {precision} needs a GPU, and Paddle sees none here (on a CPU it would silently stay "
            "in fp32); set train.precision: fp32"
        )
    if device.kind == "gpu":
        raise ConfigError(
            "train.precision bf16 needs a GPU of compute capability 8.0 or more; set train.precision: fp16"
        )
    raise ConfigError(
        f"train.precision {precision} is not supported by this device, {device.name}; set train.precision: "
        f"{device.precisions[-1]}"
    )


def check_finite(model: nn.Layer, step: int) -> None:
    """Refuse to validate or save weights that are no numbers."""
    for name, parameter in model.named_parameters():
        if not paddle.isfinite(parameter).all().item():
            raise UserError(f"step {step}: {name} is no longer finite, so it is not saved; lower optimizer.lr")


def check_sharding(sharding: int) -> None:
    """Refuse what does not run here: parameters divided over ranks need Paddle's GPU implementation."""
    if sharding == 3:
        raise ConfigError(
            "train.sharding 3 divides the parameters too, which Paddle does on GPUs only and this project has not "
            "joined with the gradient cache; set train.sharding: 2, and train.recompute: true to save memory"
        )


def check_towers(config: RunConfig, share: Share) -> None:
    """Refuse what is not exact with batch norm, or not there in another library's tower; share: this rank's Share."""
    for name, tower in config.model.towers().items():
        if config.train.recompute and tower.kind in LIBRARIES:
            raise ConfigError(
                f"train.recompute is not there for model.{name}_tower of kind {tower.kind}, whose blocks only its "
                "library knows; set train.recompute: false"
            )
        if getattr(tower, "batch_norm", "frozen") == "train":
            check_batch_norm(f"model.{name}_tower.batch_norm: train", share)


def check_layers(config: RunConfig, system: System, share: Share) -> None:
    """Refuse what the layers of a tower of a user's own do not have, or have in a form that would go wrong silently."""
    for name, tower in config.model.towers().items():
        layer = getattr(system.model, SIDES[name].removesuffix("."), None)
        if origin("tower", tower.kind) is None or layer is None:  # a system may keep it elsewhere
            continue
        what, inside = f"model.{name}_tower of kind {tower.kind}", layer.sublayers(include_self=True)
        check_shapes(what, tower, system.model)
        check_draws(what, tower, inside)
        if config.train.recompute and not any(getattr(part, "recompute", False) for part in inside):
            raise ConfigError(
                f"train.recompute has no effect on {what}, none of whose layers has the attribute recompute; set "
                "train.recompute: false, or run its blocks as docs/extending.md does"
            )
    for name, part in system.towers().items():
        inside = [sub for layer in part.layers for sub in layer.sublayers(include_self=True)]
        learning = [layer for layer in inside if learns_statistics(layer)]
        if learning:
            check_batch_norm(f"{type(learning[0]).__name__} in the {name} tower", share, "take another norm")
        plain = [layer for layer in learning if not isinstance(layer, BatchNorm)]
        if plain and config.train.recompute:
            raise ConfigError(
                f"train.recompute would move the statistics of {type(plain[0]).__name__} in the {name} tower twice; "
                "take ernie_vil2.models.towers.batch_norm.BatchNorm, or set train.recompute: false"
            )


def check_shapes(what: str, tower: Tower, model: nn.Layer) -> None:
    """Refuse a manifest that is not that of the layer: what is saved after many steps could not be read again."""
    kind = KINDS[tower.kind]
    if kind.manifest is None:
        return
    prefix, wanted = kind.prefix, tower_shapes(tower)
    found = {key: tuple(value.shape) for key, value in model.state_dict().items() if key.startswith(prefix)}
    wrong = sorted(key for key in {**wanted, **found} if wanted.get(key) != found.get(key))
    if wrong:
        told = "; ".join(f"{key} is {found.get(key)}, there {wanted.get(key)}" for key in wrong[:3])
        raise ConfigError(f"{what}: its layer has other tensors than its manifest: {told}; correct one of them")


def check_draws(what: str, tower: Tower, layers: Iterable[nn.Layer]) -> None:
    """Refuse Paddle's own dropout in a tower that says that threads may divide its batches."""
    own = [layer for layer in layers if isinstance(layer, DRAWING) and not isinstance(layer, Dropout)]
    if own and KINDS[tower.kind].keyed_masks:
        raise ConfigError(
            f"{what} says keyed_masks, but has Paddle's {type(own[0]).__name__}, which draws otherwise; take Dropout "
            "of ernie_vil2.models.masks, or leave keyed_masks out"
        )


def check_second_caption(config: RunConfig) -> None:
    """Refuse a caption beside itself where nothing tells both apart."""
    same = config.objective.second_caption == "same" and {"caption", "caption'"} <= config.objective.views()
    if same and not system_class(config.model.system).masks_texts(config.model):
        raise ConfigError(
            "objective.second_caption is same, but nothing is dropped from texts, so caption' would be caption bit for "
            "bit; set model.text_tower.dropout: 0.1, or leave second_caption out"
        )


def check_batch_norm(key: str, share: Share, instead: str = "set batch_norm: frozen") -> None:
    """Refuse to learn statistics where they would be of a part of the batch."""
    if max(share.counts) > share.micro:  # of any rank: all refuse, or one would wait for the others
        raise ConfigError(
            f"{key} takes the statistics of what is encoded at once, so the gradient cache would compute another "
            f"gradient; {instead}, or train.micro_batch: 0"
        )
