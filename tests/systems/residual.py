"""A toy system: texts end in a bottleneck with a way past it, and are pushed from where captions were on average."""

from dataclasses import dataclass

import numpy as np

from ernie_vil2.models import dual_encoder, layers
from ernie_vil2.objectives.gather import all_rows
from ernie_vil2.schema import document
from ernie_vil2.systems import ernie_vil2, system


class Encoder(dual_encoder.DualEncoder):
    def __init__(self, config, groups, biased, settings):
        super().__init__(config, groups, biased)
        self.scale, size = settings.scale, config.image_tower.embed_dim()
        self.down, self.up = layers.Linear(size, settings.width), layers.Linear(settings.width, size)

    def encode_text(self, ids):
        raw = super().encode_text(ids)
        return raw + self.scale * self.up(self.down(raw).tanh())


class Residual(ernie_vil2.ErnieVil2):
    kind = "residual"
    centre = seen = np.zeros(1, "float32")

    @dataclass
    class Settings:
        scale: float = document(0.5, "factor of the way through the bottleneck")
        width: int = document(16, "of the bottleneck", minimum=1)

    @classmethod
    def network(cls, config, groups=("mm",), biased=False):
        return Encoder(config, groups, biased, cls.settings(config))

    def towers(self):
        towers, extra = super().towers(), (self.model.down, self.model.up)
        return {**towers, "text": system.Tower(towers["text"].views, (*towers["text"].layers, *extra))}

    def loss(self, embeds, batch, share):
        parts, captions = super().loss(embeds, batch, share), embeds["caption"]
        self.seen = all_rows(captions.detach(), share).mean(axis=0).numpy()
        centre = (captions * self.centre).sum() / sum(share.counts)
        return {**parts, "loss": parts["loss"] + centre, "centre": centre}

    def after_step(self):
        super().after_step()
        self.centre = 0.5 * self.centre + 0.5 * self.seen

    def state(self):
        return {"centre": self.centre}

    def load(self, arrays):
        self.centre = arrays["centre"]
