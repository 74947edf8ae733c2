"""A system with state of its own: how many steps it has seen, and the image ids of the last global batches."""

import numpy as np

from ernie_vil2.objectives.gather import divide
from ernie_vil2.objectives.positives import labels_of
from ernie_vil2.systems.ernie_vil2 import ErnieVil2

ROOM = 20


class Counting(ErnieVil2):
    """ERNIE-ViL 2.0 that remembers."""

    kind = "counting"

    def __init__(self, model, objective):
        super().__init__(model, objective)
        self.count, self.recent, self.seen = 0, np.zeros(ROOM, np.int64), None
        self.means = np.zeros(3, np.float32)

    def loss(self, embeds, batch, share=None):
        self.seen = labels_of(batch, share or divide(len(batch)))[1].image_ids
        return super().loss(embeds, batch, share)

    def after_step(self):
        super().after_step()
        self.count += 1
        self.recent = np.concatenate([self.recent, self.seen])[-ROOM:]
        self.means = 0.5 * self.means + np.float32(self.count) / np.arange(3, 6, dtype=np.float32)

    def state(self):
        return {"count": np.array([self.count]), "recent": self.recent, "means": self.means}

    def load(self, arrays):
        self.count = int(arrays["count"][0])
        self.recent, self.means = np.array(arrays["recent"]), np.array(arrays["means"])
