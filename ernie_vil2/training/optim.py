"""AdamW without decay on bias, norm and temperature; warm-up and cosine; clipping that reports the norm."""

import math

import paddle


def learning_rate(step, config, steps):
    """The rate of 0-based `step`: linear from lr/warmup to lr, then a cosine to final_lr at the last step."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(steps - 1 - config.warmup, 1)
    return config.final_lr + (config.lr - config.final_lr) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def decayed(name, parameter):
    """Whether weight decay applies: to matrices and embeddings, never to bias, norm or temperature."""
    return parameter.ndim >= 2 and not name.endswith("bias")


def build_optimizer(model, config, steps):
    """(AdamW, LambdaDecay) for all trainable parameters of the model; call the schedule's step() after each step."""
    schedule = paddle.optimizer.lr.LambdaDecay(1.0, lambda step: learning_rate(step, config, steps))
    with_decay = {parameter.name for name, parameter in model.named_parameters() if decayed(name, parameter)}
    optimizer = paddle.optimizer.AdamW(
        learning_rate=schedule,
        beta1=config.beta1,
        beta2=config.beta2,
        epsilon=config.epsilon,
        parameters=[parameter for parameter in model.parameters() if not parameter.stop_gradient],
        weight_decay=config.weight_decay,
        apply_decay_param_fun=lambda name: name in with_decay,
    )
    return optimizer, schedule


def clip_gradients(parameters, limit):
    """Scale all gradients, in place, so that their global norm is at most `limit` (0: leave them); the norm before."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = math.sqrt(sum((gradient.astype("float32") ** 2).sum().item() for gradient in gradients))
    if limit and norm > limit:
        with paddle.no_grad():
            for gradient in gradients:
                gradient.scale_(limit / (norm + 1e-6))
    return norm
