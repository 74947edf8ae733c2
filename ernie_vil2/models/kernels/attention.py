"""Multi-head attention as one layer with a gradient of its own.

Heads are laid out, and queries scaled, by one copy of each part. Rows of weights are divided by their sums where they
have become the mixture, which is smaller, and on the way back in the gradient of the mixture.
"""

from collections.abc import Iterable

import numpy as np
import paddle
from paddle.autograd import PyLayer, PyLayerContext

from .. import masks
from .arrays import array_of, empty
from .linear import wanted
from .softmax import exponentials, through_softmax

OTHER_ORDER = (0, 2, 1, 3)
"""From tokens before heads to heads before tokens, and back"""


class AttentionOnCPU(PyLayer):
    """Query, key and value, [B, N, H, D] each or one [B, N, 3, H, D], -> their mixture [B, N, H * D].

    bias: as `layers.attention` has it, without a gradient; dropout: the rate, 0 for none.
    """

    @staticmethod
    def forward(
        ctx: PyLayerContext, bias: paddle.Tensor | None, dropout: float, *parts: paddle.Tensor
    ) -> paddle.Tensor:
        query, key, value = views(parts)
        batch, length, heads, depth = query.shape
        query, key, value = by_head(query, depth**-0.5), by_head(key), by_head(value)
        weights = paddle.matmul(query, key, transpose_y=True)
        sums = empty([batch, heads, length, 1])
        exponentials(
            array_of(weights),
            None if bias is None else array_of(bias),
            array_of(sums),
            lambda sample: array_of(paddle.matmul(query[sample], key[sample], transpose_y=True)),
        )
        dropped = masks.dropout(weights, dropout) if dropout else weights
        mixed = paddle.matmul(dropped, value)
        result = empty([batch, length, heads * depth])
        with np.errstate(all="ignore"):
            divided = (array_of(tensor).transpose(OTHER_ORDER) for tensor in (mixed, sums))
            np.divide(*divided, out=array_of(result).reshape(batch, length, heads, depth))
        ctx.save_for_backward(query, key, value, sums, weights, *([dropped] if dropout else []))
        ctx.wanted, ctx.biased = wanted(*parts), bias is not None
        return result

    @staticmethod
    def backward(ctx: PyLayerContext, gradient: paddle.Tensor) -> tuple[paddle.Tensor | None, ...]:
        query, key, value, sums, weights, *other = ctx.saved_tensor()
        batch, heads, length, depth = query.shape
        given = array_of(gradient).reshape(batch, length, heads, depth).transpose(OTHER_ORDER)
        inner = empty(query.shape)
        with np.errstate(all="ignore"):
            np.divide(given, array_of(sums), out=array_of(inner))
        of_value = paddle.matmul(other[0] if other else weights, inner, transpose_x=True)
        of_scores = paddle.matmul(inner, value, transpose_y=True)
        through_softmax(array_of(of_scores), array_of(weights), array_of(sums), array_of(other[0]) if other else None)
        of_query, of_key = paddle.matmul(of_scores, key), paddle.matmul(of_scores, query, transpose_x=True)
        if len(ctx.wanted) == 1:
            found = [empty([batch, length, 3, heads, depth])]
        else:
            found = [empty([batch, part.shape[2], heads, depth]) for part in (query, key, value)]
        for place, part, scale in zip(views(found), (of_query, of_key, of_value), (depth**-0.5, 1.0, 1.0), strict=True):
            np.multiply(array_of(part).transpose(OTHER_ORDER), scale, out=place)
        asked = [part if learns else None for part, learns in zip(found, ctx.wanted, strict=True)]
        return (*(None,) * ctx.biased, *asked)


def views(parts: Iterable[paddle.Tensor]) -> list[np.ndarray]:
    """Query, key and value as arrays [B, N, H, D], from three tensors or from one [B, N, 3, H, D]."""
    arrays = [array_of(part) for part in parts]
    return list(arrays[0].transpose(2, 0, 1, 3, 4)) if len(arrays) == 1 else arrays


def by_head(part: np.ndarray, scale: float = 1.0) -> paddle.Tensor:
    """scale * part, [B, N, H, D], as a tensor with the heads before the tokens, [B, H, N, D]."""
    part = part.transpose(OTHER_ORDER)
    laid = empty(list(part.shape))
    np.multiply(part, scale, out=array_of(laid))
    return laid
