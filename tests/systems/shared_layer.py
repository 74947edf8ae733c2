"""A system whose towers end in one layer that both have: every use of it must count once."""

from paddle import nn

from ernie_vil2.models.dual_encoder import DualEncoder
from ernie_vil2.models.layers import Linear, run_blocks
from ernie_vil2.objectives.views import IMAGE_VIEWS
from ernie_vil2.systems.system import System, Tower


class SharedNetwork(DualEncoder):
    """The dual encoder with a layer, with dropout, on top of either tower: the same one."""

    def __init__(self, config, groups=("mm",), biased=False):
        super().__init__(config, groups, biased)
        width = config.image_tower.embed_dim()
        self.shared = nn.LayerList([nn.Sequential(Linear(width, width), nn.GELU(), nn.Dropout(0.1))])

    def top(self, x):
        return x + run_blocks(self.shared, x, recompute=self.recompute and self.training)

    def encode_image(self, pixels):
        return self.top(self.visual(pixels))

    def encode_text(self, ids):
        return self.top(self.text_model(ids))


class SharedLayer(System):
    """Two towers with parameters in common."""

    kind = "shared_layer"

    @classmethod
    def network(cls, config, groups=("mm",), biased=False):
        return SharedNetwork(config, groups, biased)

    def towers(self):
        images = tuple(view for view in self.views if view in IMAGE_VIEWS)
        texts = tuple(view for view in self.views if view not in IMAGE_VIEWS)
        model = self.model
        return {
            "image": Tower(images, (model.visual, model.shared)),
            "text": Tower(texts, (model.text_model, model.shared)),
        }
