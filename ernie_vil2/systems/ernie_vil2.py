"""ERNIE-ViL 2.0 (arXiv 2209.15270), and with it plain CLIP: two separate towers and a list of pairs of views."""

from paddle import nn

from ..config.model import ModelConfig
from ..config.towers import keyed_masks
from ..models.dual_encoder import DualEncoder
from ..objectives.views import IMAGE_VIEWS
from .system import System, Tower


class ErnieVil2(System):
    """Image tower and text tower without a parameter in common, which may run side by side."""

    kind = "ernie_vil2"
    rows_independent = True

    @classmethod
    def network(cls, config: ModelConfig, groups: tuple[str, ...] = ("mm",), biased: bool = False) -> nn.Layer:
        """The dual encoder."""
        cls.settings(config)
        return DualEncoder(config, groups, biased)

    def towers(self) -> dict[str, Tower]:
        """image and text, each with the views that it encodes."""
        named = {"image": ([], self.model.visual), "text": ([], self.model.text_model)}
        for view in self.views:
            named["image" if view in IMAGE_VIEWS else "text"][0].append(view)
        return {name: Tower(tuple(views), (layers,)) for name, (views, layers) in named.items()}

    def draws_masks(self) -> bool:
        """Whether a tower drops anything in training, or is of a library that may."""
        return any(
            tower.dropout or tower.drop_path or getattr(tower, "patch_dropout", 0) or not keyed_masks(tower)
            for tower in self.model.config.towers().values()
        )
