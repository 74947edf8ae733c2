"""What a run refuses: precisions and divisions that would go wrong silently, a vocabulary that does not fit, nan."""

import paddle
from paddle import nn

from ...config.run import RunConfig, TrainConfig
from ...config.towers import LIBRARIES
from ...device import current_device
from ...errors import ConfigError, UserError
from ...objectives.gather import Share
from ...systems.registry import system_class


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


def check_second_caption(config: RunConfig) -> None:
    """Refuse a caption beside itself where nothing tells both apart."""
    same = config.objective.second_caption == "same" and {"caption", "caption'"} <= config.objective.views()
    if same and not system_class(config.model.system).masks_texts(config.model):
        raise ConfigError(
            "objective.second_caption is same, but nothing is dropped from texts, so caption' would be caption bit for "
            "bit; set model.text_tower.dropout: 0.1, or leave second_caption out"
        )


def check_batch_norm(key: str, share: Share) -> None:
    """Refuse to learn statistics where they would be of a part of the batch."""
    if max(share.counts) > share.micro:  # of any rank: all refuse, or one would wait for the others
        raise ConfigError(
            f"{key} takes the statistics of what is encoded at once, so the gradient cache would compute another "
            "gradient; set batch_norm: frozen, or train.micro_batch: 0"
        )
