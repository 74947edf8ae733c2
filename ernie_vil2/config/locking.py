"""When an image has one embedding for a whole run, so that it may be computed once: a locked tower, the same pixels."""

from collections.abc import Collection

from ..errors import ConfigError
from .data import DataConfig
from .model import PLAIN, ModelConfig
from .towers import keyed_masks

RANDOM = ("dropout", "drop_path", "patch_dropout")


def check_cache(model: ModelConfig, data: DataConfig, views: Collection[str], adapted: Collection[str]) -> None:
    """ConfigError where data.cache_locked is asked for and `cache_fault` knows a reason against it."""
    fault = cache_fault(model, data, views, adapted) if data.cache_locked else None
    if fault:
        raise ConfigError(f"data.cache_locked keeps one embedding of each image, but {fault}, or cache_locked: false")


def cache_fault(model: ModelConfig, data: DataConfig, views: Collection[str], adapted: Collection[str]) -> str | None:
    """Why an image has several embeddings in a run, or none, with what to set, as a clause; None where it has one, as
    far as the configuration tells: which parameters learn, the built model says.

    views: those of the objective; adapted: the towers with low-rank updates.
    """
    tower = model.image_tower
    if data.augmentation is not None:
        return "data.augmentation draws other pixels at every step; set data.augmentation: null"
    if "image" not in views:
        return "objective.pairs has no view image; give it one"
    if "image'" in views:
        return "objective.pairs has a second view of it, image'; leave that out"
    if model.system != PLAIN:
        return f"the system {model.system} makes it of more than the image tower; set model.system: {PLAIN}"
    if "image" in adapted:
        return "lora.towers has image, whose low-rank updates learn; set lora.towers: [text]"
    for name in RANDOM:
        if getattr(tower, name, 0):
            return f"model.image_tower.{name} draws another one at every step; set it to 0"
    if getattr(tower, "batch_norm", "frozen") == "train":
        return "model.image_tower.batch_norm is train, so its statistics move; set it to frozen"
    if not keyed_masks(tower):
        return (
            f"an image tower of kind {tower.kind} may draw masks of its own or look at other images of a batch "
            "(TowerKind.keyed_masks); take another kind"
        )
    return None
