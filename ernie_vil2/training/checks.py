"""What a run refuses: precisions and divisions that would go wrong silently, a vocabulary that does not fit, nan."""

import paddle

from ..errors import ConfigError, UserError


def check_precision(config):
    """Refuse what would silently stay fp32 or lose gradients: Paddle has no bf16 or fp16 kernels on a CPU, nor bf16 on
    older cards, and with fp16 weights (O2) small gradients would vanish when they are unscaled."""
    precision = config.precision
    if precision == "fp16" and config.amp_level == "O2":
        raise ConfigError(
            "train.amp_level O2 with fp16 keeps gradients in fp16, where small ones vanish; set amp_level: O1, or "
            "train.precision: bf16"
        )
    if precision != "fp32" and not (paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count()):
        raise ConfigError(
            f"train.precision {precision} needs a GPU, and Paddle sees none here (on a CPU it would silently stay "
            "in fp32); set train.precision: fp32"
        )
    if precision == "bf16" and not paddle.amp.is_bfloat16_supported():
        raise ConfigError(
            "train.precision bf16 needs a GPU of compute capability 8.0 or more; set train.precision: fp16"
        )


def check_finite(model, step):
    """Refuse to validate or save weights that are no numbers."""
    for name, parameter in model.named_parameters():
        if not paddle.isfinite(parameter).all().item():
            raise UserError(f"step {step}: {name} is no longer finite, so it is not saved; lower optimizer.lr")


def fitting_rows(rows, tokens, vocab):
    """Rows of the word embedding for a vocabulary: 0 means as many as it has tokens."""
    if rows == 0:
        return tokens
    if rows < tokens:
        raise ConfigError(
            f"the vocabulary {vocab} has ids up to {tokens - 1} but model.text_tower.vocab_size is {rows}; "
            "raise it, or set it to 0"
        )
    return rows


def check_sharding(sharding):
    """Refuse what does not run here: parameters divided over ranks need Paddle's GPU implementation."""
    if sharding == 3:
        raise ConfigError(
            "train.sharding 3 divides the parameters too, which Paddle does on GPUs only and this project has not "
            "joined with the gradient cache; set train.sharding: 2, and train.recompute: true to save memory"
        )
