"""Point 1: the library's attention and its gradient against a float64 reference in NumPy, and which kernel computes it.

The reference takes the inputs as they are rounded to a precision, so an error is the kernel's own.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import paddle

from ernie_vil2.device import current_device
from ernie_vil2.models.layers import attention
from tests.gpu.kernel_trace import traced
from tests.gpu.records import Figure, Record

LENGTHS = (13, 20, 47, 48, 197)
"""Captions as they come, one below and at a multiple of 8, and the patches of ViT-B/16."""
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
LIMITS = {"fp32": 1e-5, "bf16": 8e-3, "fp16": 1e-3}
"""Largest error over norm. Emulated in NumPy (operands, weights and results rounded, sums exact), the largest of all
lengths: bf16 2.8e-3, fp16 3.4e-4, TF32 3.8e-4, fp32 4e-8; the limits leave room for sums in fp32 and other orders."""
SIZE = (2, 4, 64)
MASKED = -10000.0


def reference(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, bias: np.ndarray | None, upstream: np.ndarray
) -> dict[str, np.ndarray]:
    """{"output", "query", "key", "value"}: float64 [B, N, H, D], the attention and its gradients.

    query, key, value, upstream: float64 [B, N, H, D], upstream the gradient of the output; bias: [B, 1, 1, N] or None.
    """
    scale = query.shape[-1] ** -0.5
    scores = np.einsum("bnhd,bmhd->bhnm", query, key) * scale + (0.0 if bias is None else bias)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    of_weights = np.einsum("bnhd,bmhd->bhnm", upstream, value)
    of_scores = weights * (of_weights - (weights * of_weights).sum(-1, keepdims=True)) * scale
    return {
        "output": np.einsum("bhnm,bmhd->bnhd", weights, value),
        "query": np.einsum("bhnm,bmhd->bnhd", of_scores, key),
        "key": np.einsum("bhnm,bnhd->bmhd", of_scores, query),
        "value": np.einsum("bhnm,bnhd->bmhd", weights, upstream),
    }


def inputs(length: int, dtype: str, masked: bool) -> tuple[list[paddle.Tensor], paddle.Tensor | None]:
    """([query, key, value, upstream], bias or None): normal numbers [B, N, H, D] in a dtype; 30 % of keys masked."""
    rng, (batch, heads, depth) = np.random.default_rng((length, masked)), SIZE
    parts = [paddle.to_tensor(rng.standard_normal((batch, length, heads, depth)), "float32") for _ in range(4)]
    if not masked:
        return [part.astype(dtype) for part in parts], None
    hidden = rng.random((batch, 1, 1, length)) < 0.3
    hidden[..., 0] = False  # the first token of a caption is never padding
    return [part.astype(dtype) for part in parts], paddle.to_tensor(hidden * MASKED, "float32").astype(dtype)


def plain(tensor: paddle.Tensor) -> np.ndarray:
    """float64 array of a tensor of any precision."""
    return tensor.astype("float32").numpy().astype(np.float64)


def errors(length: int, dtype: str, masked: bool) -> dict[str, float]:
    """{"output", "query", "key", "value"}: norm of the error over the norm of the reference."""
    (*leaves, upstream), bias = inputs(length, dtype, masked)
    for leaf in leaves:
        leaf.stop_gradient = False
    output = attention(*leaves, bias=bias, training=True)
    paddle.autograd.backward([output], [upstream.reshape(output.shape)])
    wanted = reference(*map(plain, leaves), None if bias is None else plain(bias), plain(upstream))
    found = {name: leaf.grad for name, leaf in zip(("query", "key", "value"), leaves, strict=True)}
    found["output"] = output.reshape(upstream.shape)
    return {name: distance(found[name], value) for name, value in wanted.items()}


def distance(found: paddle.Tensor | None, wanted: np.ndarray) -> float:
    """Norm of the error over the norm of what is wanted; infinite where nothing was found."""
    return float("inf") if found is None else float(np.linalg.norm(plain(found) - wanted) / np.linalg.norm(wanted))


def accuracy(name: str, masked: bool, lengths: tuple[int, ...] = LENGTHS) -> Record:
    """The largest errors of a precision over all lengths."""
    found = {length: errors(length, DTYPES[name], masked) for length in lengths}
    worst = max(lengths, key=lambda length: max(found[length].values()))
    gradients = [error for case in found.values() for part, error in case.items() if part != "output"]
    return Record(
        "attention",
        f"{name}{', masked' * masked}",
        {
            "output error": Figure(max(case["output"] for case in found.values()), "of its norm", LIMITS[name]),
            "gradient error": Figure(max(gradients), "of its norm", LIMITS[name]),
            "worst length": Figure(worst, "tokens"),
        },
        f"within its limits, attention in {name} is attention, forward and backward, at every length",
        details={str(length): case for length, case in found.items()},
    )


def kernels(name: str, length: int, masked: bool) -> tuple[str, list[str]]:
    """(what Paddle's Python chooses, names of the device's kernels in a forward and a backward pass)."""
    from paddle.nn.functional import sdpa

    chosen, select = [], sdpa.select_sdp_for_sdpa

    def noted(parameters):
        chosen.append(select(parameters))
        return chosen[-1]

    sdpa.select_sdp_for_sdpa = noted
    try:
        trace = traced(lambda: errors(length, DTYPES[name], masked))
    finally:
        sdpa.select_sdp_for_sdpa = select
    return chosen[0] if chosen else "none", sorted({kernel.name for kernel in trace.device if kernel.kind == "Kernel"})


def choice(name: str, capability: tuple[int, int], length: int = 47, masked: bool = True) -> Record:
    """Whether half precision really takes flash, at a length that is no multiple of 8."""
    chosen, names = kernels(name, length, masked)
    fused = sum("flash" in kernel.lower() or "fmha" in kernel.lower() for kernel in names)
    wanted = name != "fp32" and capability >= (8, 0)
    return Record(
        "attention",
        f"kernel of {name}, {length} tokens{', masked' * masked}",
        {"chosen": Figure(chosen), "fused kernels seen": Figure(fused, "names", least=1 if wanted else None)},
        "the device ran a fused kernel" if fused else "no fused kernel was seen: attention holds the N x N scores",
        details={"kernels": names, "compute_capability": ".".join(map(str, capability))},
    )


def broadcast(name: str, length: int = 48) -> Record:
    """The mask as [B, 1, 1, N] given to Paddle, against the one that is expanded to [B, H, N, N]."""
    (query, key, value, _), bias = inputs(length, DTYPES[name], True)
    compute = paddle.nn.functional.scaled_dot_product_attention
    wide = bias.expand([query.shape[0], query.shape[2], length, length])
    wanted = plain(compute(query, key, value, attn_mask=wide, training=False))
    try:
        found = plain(compute(query, key, value, attn_mask=bias, training=False))
    except Exception as error:
        said = str(error).strip().splitlines()[-1:] or ["no reason given"]
        return Record(
            "attention",
            f"mask [B, 1, 1, N] in {name}",
            {"taken": Figure("no")},
            f"it has to be expanded: {said[0][:200]}",
        )
    difference = float(np.abs(found - wanted).max())
    same = difference <= LIMITS[name]
    meaning = "expanding it is not needed" if same else "it gives another result, so it has to be expanded"
    return Record("attention", f"mask [B, 1, 1, N] in {name}", {"largest difference": Figure(difference)}, meaning)


def measure(folder: Path) -> Iterator[Record]:
    """All of them, for the precisions that this card has."""
    device = current_device()
    capability = paddle.device.cuda.get_device_capability(device.index)
    for name in DTYPES:
        if name not in device.precisions:
            yield Record("attention", name, reason=f"this card has no {name}", lacking=True)
            continue
        for masked in (False, True):
            yield accuracy(name, masked)
        yield choice(name, capability)
        yield broadcast(name)
