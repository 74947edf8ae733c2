"""Compare a model with what its weights compute in another layout: the largest difference and the smallest cosine."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checkpoints.layouts.any_source import Source
from ..config.model import ModelConfig
from ..errors import CheckpointError
from .fixed_inputs import CannotRun, Inputs, Result
from .their_models import run_source

if TYPE_CHECKING:
    from ..models.dual_encoder import DualEncoder

LARGEST, SMALLEST_COSINE = 1e-4, 0.999999


def run_ours(network: "DualEncoder", inputs: Inputs) -> dict[str, np.ndarray]:
    """{"image": [N, D], "text": [N, D]} of a DualEncoder on Inputs."""
    import paddle

    network.eval()
    found = {}
    with paddle.no_grad():
        if inputs.ids is not None:
            found["text"] = network.encode_text(paddle.to_tensor(inputs.ids)).astype("float32").numpy()
        if inputs.pixels is not None:
            found["image"] = network.encode_image(paddle.to_tensor(inputs.pixels)).astype("float32").numpy()
    return found


def network_of(state: Mapping[str, Any], config: ModelConfig) -> "DualEncoder":
    """The model of a system with the tensors of a state; float types are widened by the caller."""
    from ..models.dual_encoder import fill, uninitialised
    from ..systems.registry import system_class

    with uninitialised():
        network = system_class(config.system).network(config)
    fill(network, state, "the result")
    return network


def theirs_or_reason(
    source: Source, layout_name: str, config: ModelConfig, inputs: Inputs
) -> tuple[Result | None, str | None]:
    """(Result, None) of the source run by itself, or (None, the reason why it was not)."""
    try:
        return run_source(source, layout_name, config, inputs), None
    except CannotRun as reason:
        return None, str(reason)


def check_record(
    theirs: Result | None, ours: Mapping[str, np.ndarray], inputs: Inputs, reason: str | None = None
) -> dict[str, Any]:
    """The JSON-able record of a check; CheckpointError when the two differ by more than float arithmetic does."""
    import paddle

    record = {"inputs": described(inputs)}
    if theirs is None:
        return record | {"how": f"not run: {reason}"}
    record |= {"how": theirs.how, "largest_difference": {}, "cosine": {}}
    for tower, wanted in theirs.embeds.items():
        found = ours[tower].astype(np.float64)
        wanted = np.asarray(wanted, np.float64)
        if not np.isfinite(wanted).all():
            record.setdefault("not_compared", {})[tower] = "the source's embeddings are not finite"
            continue
        difference = float(np.abs(found - wanted).max())
        cosine = float((unit(found) * unit(wanted)).sum(-1).min())
        if not difference <= LARGEST * max(1.0, float(np.abs(wanted).max())) or not cosine >= SMALLEST_COSINE:
            raise CheckpointError(
                f"the converted {tower} tower does not compute what the source does by {theirs.how} (they differ by "
                f"up to {difference:.3g}, cosine {cosine:.6f}), so nothing was written; check that config.json belongs "
                "to these weights, and report it if it does"
            )
        record["largest_difference"][tower] = float(f"{difference:.2g}")
        record["cosine"][tower] = round(cosine, 9)
    return record | {"versions": theirs.versions | {"paddle": paddle.__version__}}


def described(inputs: Inputs) -> str:
    """What the inputs are, in words."""
    said = []
    if inputs.ids is not None:
        said.append(f"{len(inputs.ids)} sequences of {', '.join(map(str, (inputs.ids != 0).sum(1)))} tokens")
    if inputs.pixels is not None:
        said.append(f"1 image of {inputs.pixels.shape[-1]} px")
    return "random, the same every time: " + " and ".join(said)


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows [N, D] divided by their lengths."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def sentence(record: Mapping[str, Any], subject: str = "the source") -> str:
    """A line for people about a record; subject: what was run by something else than this project."""
    parts = [
        f"{tower} embeddings differ by at most {record['largest_difference'][tower]:.2g} (cosine {cosine:.9f})"
        for tower, cosine in record.get("cosine", {}).items()
    ]
    parts += [f"{tower} embeddings are not compared ({why})" for tower, why in record.get("not_compared", {}).items()]
    if not parts:
        return f"check: {record['how']}"
    return f"check: {' and '.join(parts)}, {subject} being run by {record['how']}"
