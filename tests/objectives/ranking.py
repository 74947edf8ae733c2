"""A loss of a user's own, smooth everywhere and with the temperature in it: what ranks and chunks are compared by."""

from dataclasses import dataclass

import paddle

from ernie_vil2.objectives.registry import PairLoss, register_loss
from ernie_vil2.schema import document


@dataclass
class Ranking(PairLoss):
    """A soft margin of every negative of a row to the mean of its positives."""

    margin: float = document(0.1, "by which a positive shall be nearer than a negative", positive=True)

    def __call__(self, rows, columns, positive, negative, scale):
        cosines, own = paddle.matmul(rows, columns, transpose_y=True), positive.astype("float32")
        nearest = (cosines * own).sum(1, keepdim=True) / own.sum(1, keepdim=True).clip(min=1.0)
        over = paddle.nn.functional.softplus(scale * (self.margin + cosines - nearest))
        return (over * negative.astype("float32")).sum(1)


register_loss("ranking", Ranking)
