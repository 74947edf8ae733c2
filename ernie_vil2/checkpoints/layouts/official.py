"""The release's own layout, which is ours: nothing is computed, every bit and every type is kept."""

from collections.abc import Collection

from ...config.model import ModelConfig
from .. import release_layout, release_sizes
from .layout_record import Found, Layout, Read

CONTRASTIVE = ("contrastive_loss_mm", "contrastive_loss_ii", "contrastive_loss_tt")


def fits(keys: Collection[str]) -> bool:
    """Whether most keys are the release's."""
    return release_layout.recognise(keys) == "official"


def of_any_kind(keys: Collection[str]) -> bool:
    """Whether the keys may be those of a model directory with both towers, whose kinds are more than the release's."""
    named = {key.split(".")[0] for key in keys}
    return {"visual", "text_model"} <= named <= {"visual", "text_model", *CONTRASTIVE}


def read(found: Found) -> Read:
    """A Read of both towers, not compared with what they need yet; sizes come from a model directory's config.json
    where that is given, else from shapes."""
    notes = []
    if "layout_version" in found.settings:
        content = {key: value for key, value in found.settings.items() if key not in ("files", "extra")}
        config = ModelConfig.from_dict(content, "its config.json")
    else:
        config = release_sizes.infer_config(found.state, found.path)
        notes = release_sizes.assumptions(config)
    return Read(config, found.state, notes)


LAYOUTS = [Layout("official", fits, read, write=lambda state, config: state, raw=True)]
