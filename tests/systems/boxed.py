"""A system whose model takes boxes: what it makes of an image depends on where they lie."""

import numpy as np
import paddle

from ernie_vil2.models.dual_encoder import DualEncoder
from ernie_vil2.models.layers import Linear
from ernie_vil2.systems.ernie_vil2 import ErnieVil2
from ernie_vil2.systems.system import Tower

MOST = 3


class BoxedNetwork(DualEncoder):
    """The dual encoder, with a layer over the mean of the boxes; `calls` are the shapes that it was given."""

    def __init__(self, config, groups=("mm",), biased=False):
        super().__init__(config, groups, biased)
        self.place, self.calls = Linear(4, config.image_tower.embed_dim()), []

    def whole(self):
        return np.array([[0, 0, self.config.pixels.size, self.config.pixels.size]], np.float32)

    def default_boxes(self):
        return np.concatenate([self.whole() / [1, 1, 2, 1], self.whole()]).astype(np.float32)

    def encode_image(self, pixels, boxes=None, counts=None):
        self.calls.append((pixels.shape[0], boxes is not None))
        if boxes is None:
            boxes = paddle.to_tensor(getattr(self, "default_boxes", self.whole)())[None]
            counts = paddle.to_tensor([boxes.shape[1]])
        counted = (paddle.arange(boxes.shape[1])[None] < counts[:, None]).astype("float32")[:, :, None]
        mean = (boxes * counted).sum(1) / counted.sum(1)
        return super().encode_image(pixels) + self.place(mean / self.config.pixels.size)


class Boxed(ErnieVil2):
    kind = "regional"

    @classmethod
    def most_boxes(cls, config):
        return MOST

    @classmethod
    def network(cls, config, groups=("mm",), biased=False):
        return BoxedNetwork(config, groups, biased)

    def towers(self):
        towers = super().towers()
        image = towers["image"]
        return {**towers, "image": Tower(image.views, (*image.layers, self.model.place))}
