"""The model of an index: how a manifest describes it, and the same one again for later scans."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...data.images.limits import limits_of
from ...errors import CheckpointError, ConfigError
from ...inference.identity import model_digest
from ...messages import quoted
from ..store.manifest import Manifest
from .encoder import Encoder

if TYPE_CHECKING:
    from ...inference.model import Model


@dataclass(frozen=True)
class ModelChoice:
    """A model as it is asked for; what is "" is as the index has it, or the default of a new one.

    path, vocab, engine, precision, damaged: as `ernie_vil2.load` takes them.
    """

    path: str = ""
    vocab: str = ""
    engine: str = ""
    precision: str = ""
    damaged: str = ""

    def load(self) -> "Model":
        """The model; raises what `ernie_vil2.load` does."""
        import ernie_vil2

        model = ernie_vil2.load(
            self.path,
            self.vocab or None,
            self.damaged or "skip",
            self.engine or "auto",
            self.precision or "fp32",
        )
        model.engines.make("image")
        return model


def described(choice: ModelChoice, model: "Model", encoded: bool = True) -> Manifest:
    """The manifest that an index begins with. encoded: whether the model makes the vectors; those that were made
    elsewhere say nothing of an engine."""
    record = {
        "digest": model_digest(choice.path),
        "path": os.path.abspath(choice.path),
        "vocab": os.path.abspath(choice.vocab) if choice.vocab else "",
        "system": model.config.system,
        "max_length": model.config.max_length,
        "engine": choice.engine or "auto",
        "precision": choice.precision or "fp32",
        "damaged": choice.damaged or "skip",
    }
    engines = dict(model.engines.record) if encoded else {}
    return Manifest(width=model.embed_dim, model=record, engines=engines, pixels=asdict(model.config.pixels))


def unknown_model(width: int) -> Manifest:
    """The manifest of vectors of a model that nobody named: it can be asked with vectors alone."""
    return Manifest(width=width, model={"digest": "", "path": ""})


def same_model(folder: str | os.PathLike, manifest: Manifest, choice: ModelChoice) -> ModelChoice:
    """What is asked for, completed by what an index was made with. Raises ConfigError for another precision and
    CheckpointError for another model, or one that is not at its place, and nothing is ever mixed."""
    made = manifest.model
    if not made.get("digest"):
        raise ConfigError(
            f"{folder} holds embeddings of an unknown model, so pictures cannot be added; give embeddings made by it, "
            "or --rebuild with a model"
        )
    path = choice.path or made.get("path", "")
    if not Path(path).exists():
        raise CheckpointError(f"{path}: the model of {folder} is not there; say with --model where it is now")
    if model_digest(path) != made["digest"]:
        raise CheckpointError(
            f"{path} is another model than the one of {folder} ({quoted(made.get('path'))}), and their vectors do not "
            "compare; give that one, or --rebuild to encode everything anew"
        )
    if choice.precision and choice.precision != made.get("precision"):
        raise ConfigError(
            f"{folder} was encoded in {made.get('precision')}, not in {choice.precision}; leave --precision out, or "
            "give --rebuild to encode everything anew"
        )
    return ModelChoice(
        path,
        choice.vocab or made.get("vocab", ""),
        choice.engine or made.get("engine", ""),
        made.get("precision", ""),
        choice.damaged or made.get("damaged", ""),
    )


def encoder_of(
    folder: str | os.PathLike,
    manifest: Manifest,
    choice: ModelChoice,
    loaded: "Model | None" = None,
    told: Callable[[str], object] = lambda line: None,
) -> Encoder:
    """The Encoder of an index; its model is loaded when something is to be encoded. told: called with a line on the
    engine then. Raises as `same_model` does, and ConfigError, once loaded, where the model computes in another
    precision here than the index was encoded in: the engine may be another one, since all give the same to rounding."""
    choice = same_model(folder, manifest, choice)

    def seen(model: "Model") -> None:
        wanted, found = (record.get("image", "").split(" ")[-1] for record in (manifest.engines, model.engines.record))
        if wanted and wanted != found:
            raise ConfigError(
                f"{folder} was encoded in {wanted}, and this computer can only do it in {found}; go on where it was "
                "made, or give --rebuild to encode everything anew"
            )
        told(model.engines.told("image"))

    return Encoder(lambda: loaded or choice.load(), limits_of(choice.damaged or "skip"), seen)
