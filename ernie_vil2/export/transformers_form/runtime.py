"""torch and transformers as the export uses them: whether they are there, and what a written folder computes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import CheckpointError, ConfigError
from ...inference.engines.engine import Run
from ...messages import brief
from ...versions import installed_version

if TYPE_CHECKING:
    from transformers import VisionTextDualEncoderModel

LIBRARIES = ("torch", "transformers")


def refuse_missing_libraries() -> None:
    """ConfigError in one sentence unless torch and transformers are installed and load."""
    missing = [name for name in LIBRARIES if not installed_version(name)]
    if missing:
        raise ConfigError(
            f"--to transformers runs what it wrote before it is kept, and {' and '.join(missing)} "
            f"{'are' if len(missing) > 1 else 'is'} not installed; install with: pip install {' '.join(missing)}"
        )
    try:
        from transformers import VisionTextDualEncoderModel  # noqa: F401  a lazy module: this loads torch too
    except Exception as error:  # of libraries that this project does not control
        raise ConfigError(
            f"--to transformers runs what it wrote, and transformers {installed_version('transformers')} does not load "
            f"here ({brief(' '.join(str(error).split()), 160)}); install one that does: pip install -U transformers"
        ) from None


@contextmanager
def quiet() -> Iterator[None]:
    """Bars and remarks of transformers are left out inside: what matters of them is looked at."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def loaded_model(folder: Path) -> "VisionTextDualEncoderModel":
    """The model of a folder, in evaluation mode; CheckpointError where the library takes other tensors."""
    from transformers import VisionTextDualEncoderModel

    with quiet():
        model, report = VisionTextDualEncoderModel.from_pretrained(
            folder, local_files_only=True, output_loading_info=True
        )
    wrong = {name: found for name, found in report.items() if found}
    if wrong:
        raise CheckpointError(
            f"transformers {installed_version('transformers')} takes other tensors than were written "
            f"({brief(str(wrong), 160)}), so nothing was written; install another release of it, or report it"
        )
    return model.eval()


def loaded_readers(folder: Path) -> tuple[Any, Any]:
    """(tokenizer, image processor) of a folder, as AutoTokenizer and AutoImageProcessor choose them."""
    from transformers import AutoImageProcessor, AutoTokenizer

    with quiet():
        return tuple(
            kind.from_pretrained(folder, local_files_only=True) for kind in (AutoTokenizer, AutoImageProcessor)
        )


def runs_of(model: "VisionTextDualEncoderModel", pad_id: int) -> Mapping[str, Run]:
    """{"image": run, "text": run} of a model; the attention mask leaves `pad_id` out, as a tokenizer's does."""
    return {"image": partial(image_run, model), "text": partial(text_run, model, pad_id)}


def image_run(model: "VisionTextDualEncoderModel", pixels: np.ndarray) -> np.ndarray:
    """Pixels float32 [B, 3, S, S] to raw embeddings float32 [B, D]."""
    import torch

    with torch.inference_mode():
        return array_of(model.get_image_features(pixel_values=torch.from_numpy(pixels)))


def text_run(model: "VisionTextDualEncoderModel", pad_id: int, ids: np.ndarray) -> np.ndarray:
    """Ids int64 [B, L] to raw embeddings float32 [B, D]."""
    import torch

    found = torch.from_numpy(ids)
    with torch.inference_mode():
        return array_of(model.get_text_features(input_ids=found, attention_mask=(found != pad_id).long()))


def array_of(features: Any) -> np.ndarray:
    """The embeddings, which transformers 4 gives as they are and transformers 5 with all that lies before them."""
    return getattr(features, "pooler_output", features).numpy()
