"""AdamW in groups, warm-up and schedule, clipping by a norm that may be of all ranks, state by parameter name."""

import math
from collections.abc import Iterable, Mapping

import numpy as np
import paddle
from paddle import nn

from ...config.optimizer import OptimizerConfig
from ...errors import CheckpointError
from .parameter_groups import decayed, parameter_options

SLOTS = ("moment1", "moment2", "beta1_pow", "beta2_pow")
IDLE, MASTER = "idle", "master"


def learning_rate(step: int, config: OptimizerConfig, steps: int) -> float:
    """The rate of 0-based `step`: linear from lr/warmup to lr, then as `config.schedule` says, with final_lr at the
    last step."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    if config.schedule == "constant":
        return config.lr
    progress = min((step - config.warmup) / max(steps - 1 - config.warmup, 1), 1.0)
    share = 0.5 * (1 + math.cos(math.pi * progress)) if config.schedule == "cosine" else 1 - progress
    return config.final_lr + (config.lr - config.final_lr) * share


def build_optimizer(
    model: nn.Layer, config: OptimizerConfig, steps: int, only: set[str] | None = None
) -> tuple[paddle.optimizer.AdamW, paddle.optimizer.lr.LambdaDecay]:
    """(AdamW, LambdaDecay) for the parameters of the model; call the schedule's step() after each step.

    only: names of the parameters that this rank owns, or None for all. Frozen parameters (stop_gradient) are listed
    too, so that they can be freed later: AdamW leaves them alone, without decay and without state, while they are
    frozen. Parameters of fp16 or bf16 get fp32 master weights. Raises ConfigError when an entry of `config.groups` fits
    no parameter of the whole model.
    """
    named = dict(model.named_parameters())
    groups = {}
    for name, (factor, decay) in parameter_options(list(named), config).items():
        if only is None or name in only:
            groups.setdefault((factor, decay), []).append(named[name])
    schedule = paddle.optimizer.lr.LambdaDecay(1.0, lambda step: learning_rate(step, config, steps))
    with_decay = {parameter.name for name, parameter in named.items() if decayed(name, parameter)}
    optimizer = paddle.optimizer.AdamW(
        learning_rate=schedule,
        beta1=config.beta1,
        beta2=config.beta2,
        epsilon=config.epsilon,
        parameters=[
            {"params": parameters, "learning_rate": factor, "weight_decay": decay}
            for (factor, decay), parameters in groups.items()
        ],
        weight_decay=config.weight_decay,
        apply_decay_param_fun=lambda name: name in with_decay,
        multi_precision=True,
    )
    return optimizer, schedule


def squared_norm(parameters: Iterable[paddle.Tensor]) -> float:
    """Sum of the squares of all gradients, a float, with one synchronisation; inf or nan when one is not finite."""
    return total_square([parameter.grad for parameter in parameters if parameter.grad is not None]).item()


def total_square(tensors: list[paddle.Tensor]) -> paddle.Tensor:
    """Sum of the squares of all elements in fp32, a tensor []: one kernel a tensor, as Paddle's own clipping."""
    if not tensors:
        return paddle.zeros([])
    with paddle.no_grad():
        return paddle.concat([paddle._C_ops.squared_l2_norm(tensor.astype("float32")) for tensor in tensors]).sum()


def clip_gradients(parameters: Iterable[paddle.Tensor], limit: float, norm: float | None = None) -> float:
    """Scale all gradients, in place, so that their global norm is at most `limit` (0: leave them); the norm before.

    norm: the global norm where these parameters are only a part of it, as under sharding: the root of the sum of
    `squared_norm` over the ranks. Gradients scaled by a loss scaler are to be unscaled before. A norm that is not
    finite scales nothing.
    """
    parameters = list(parameters)
    if norm is None:
        norm = math.sqrt(squared_norm(parameters))
    if limit and limit < norm < math.inf:
        with paddle.no_grad():
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad.scale_(limit / (norm + 1e-6))
    return norm


def clear_gradients(parameters: Iterable[paddle.Tensor]) -> None:
    """Forget all gradients; to be called after each step, instead of `optimizer.clear_grad()`.

    Paddle's own leaves zeros, with which AdamW would still move and decay a parameter that a later batch gives no
    gradient, but not so after a resume.
    """
    for parameter in parameters:
        parameter.grad = None


def owned(optimizer: paddle.optimizer.AdamW, model: nn.Layer) -> dict[str, paddle.Tensor]:
    """{name: parameter} of what an optimizer of this model updates."""
    held = {parameter.name for group in optimizer._param_groups for parameter in group["params"]}
    return {name: parameter for name, parameter in model.named_parameters() if parameter.name in held}


def accumulators(optimizer: paddle.optimizer.AdamW, parameter: paddle.Tensor) -> dict[str, paddle.Tensor]:
    """{slot: tensor} of a parameter's state; empty before its first update."""
    key = optimizer._master_weights.get(parameter.name, parameter).name
    found = {slot: optimizer._accumulators.get(kind, {}).get(key) for slot, kind in kinds(optimizer).items()}
    return {} if None in found.values() else found


def kinds(optimizer: paddle.optimizer.AdamW) -> dict[str, str]:
    """{slot: Paddle's name of it}."""
    names = (
        optimizer._moment1_acc_str,
        optimizer._moment2_acc_str,
        optimizer._beta1_pow_acc_str,
        optimizer._beta2_pow_acc_str,
    )
    return dict(zip(SLOTS, names, strict=True))


def optimizer_state(optimizer: paddle.optimizer.AdamW, model: nn.Layer) -> dict[str, np.ndarray]:
    """{"parameter name.slot": float32 array} of what this optimizer holds, for `load_optimizer_state`.

    Slots are moment1, moment2, beta1_pow, beta2_pow and, for parameters of fp16 or bf16, master. A parameter that was
    never updated has `idle` instead. Names are those of `model.named_parameters()`, so the state fits a model built
    anew, or another division over ranks (merge the dictionaries of all ranks).
    """
    state = {}
    for name, parameter in owned(optimizer, model).items():
        found = accumulators(optimizer, parameter)
        if not found:
            state[f"{name}.{IDLE}"] = np.ones(1, np.float32)
            continue
        if parameter.name in optimizer._master_weights:
            found = {**found, MASTER: optimizer._master_weights[parameter.name]}
        for slot, value in found.items():
            state[f"{name}.{slot}"] = np.array(value.numpy(), np.float32)
    return state


def load_optimizer_state(optimizer: paddle.optimizer.AdamW, model: nn.Layer, arrays: Mapping[str, np.ndarray]) -> None:
    """Put the arrays of `optimizer_state` back, bit for bit; what this optimizer does not own is left where it is.

    Raises CheckpointError when something is missing or has another shape. The schedule is not part of it: set it with
    `schedule.step(number of steps done)`.
    """
    mine = owned(optimizer, model)
    missing = [name for name in mine if f"{name}.{IDLE}" not in arrays and missing_slot(name, arrays)]
    if missing:
        raise CheckpointError(
            f"the optimizer's state lacks {missing_slot(missing[0], arrays)} and that of {len(missing)} parameters of "
            f"{len(mine)} in all; it is of another model or incomplete: go on from another checkpoint"
        )
    with paddle.no_grad():
        for name, parameter in mine.items():
            if f"{name}.{IDLE}" in arrays:
                continue
            optimizer._create_accumulators(paddle.base.framework.default_main_program().global_block(), [parameter])
            targets = accumulators(optimizer, parameter)
            if parameter.name in optimizer._master_weights and f"{name}.{MASTER}" in arrays:
                targets[MASTER] = optimizer._master_weights[parameter.name]
            for slot, target in targets.items():
                put(target, np.asarray(arrays[f"{name}.{slot}"], np.float32), f"{name}.{slot}")


def missing_slot(name: str, arrays: Mapping[str, np.ndarray]) -> str | None:
    """The first slot of a parameter that is not among the arrays, or None."""
    return next((f"{name}.{slot}" for slot in SLOTS if f"{name}.{slot}" not in arrays), None)


def put(target: paddle.Tensor, array: np.ndarray, key: str) -> None:
    """Set a tensor from an array of the same shape."""
    if list(array.shape) != list(target.shape):
        raise CheckpointError(
            f"the optimizer's state {key} is {list(array.shape)} but this model needs {list(target.shape)}; "
            "go on with the configuration that it was written with"
        )
    target.set_value(array)
