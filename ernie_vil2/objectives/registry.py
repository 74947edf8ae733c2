"""Losses of a user's own: what one answers, and how it becomes known (docs/extending.md)."""

import dataclasses
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import paddle

from ..config.losses import LOSSES
from ..errors import ConfigError
from ..plugins import remember, same_class
from .comparison import relations
from .positives import Labels


class PairLoss(ABC):
    """The loss of the rows of one view against the columns of another: a dataclass whose fields are its settings,
    declared with `ernie_vil2.schema.document`.

    It is called for both directions of a pair of views, and the pair has half of both. Columns of other ranks come
    with a gradient, so ranks and the gradient cache give what one process with one graph gives.
    """

    @abstractmethod
    def __call__(
        self,
        rows: paddle.Tensor,
        columns: paddle.Tensor,
        positive: paddle.Tensor,
        negative: paddle.Tensor,
        scale: paddle.Tensor,
    ) -> paddle.Tensor:
        """[b]: the loss of every row.

        rows [b, D], columns [B, D]: L2-normalised, float32; b of this rank, B of the global batch. positive, negative:
        bool [b, B]: columns that belong to a row and those that do not; neither where a sample lacks a view. A row has
        a positive, and may have no negative; one that lacks a view has every column as a positive, and its value is not
        counted. scale: [1], exp of the temperature. Each row's loss may depend on that row and the columns alone.
        """


def register_loss(name: str, builder: type[PairLoss]) -> None:
    """Make a loss known as `objective.loss: NAME`; ConfigError for a name that is taken, or what is no dataclass
    derived from PairLoss."""
    if not (isinstance(name, str) and name):
        raise ConfigError(f"register_loss: the name of a loss is a text that is not empty, not {name!r}; correct it")
    if not (isinstance(builder, type) and issubclass(builder, PairLoss) and dataclasses.is_dataclass(builder)):
        raise ConfigError(f"register_loss: {name} must be a dataclass derived from PairLoss; write @dataclass above it")
    if inspect.isabstract(builder):
        raise ConfigError(f"register_loss: {name} lacks __call__, which computes it; add it")
    bare = [field.name for field in dataclasses.fields(builder) if "doc" not in field.metadata]
    if bare:
        raise ConfigError(
            f"register_loss: {', '.join(bare)} of {name} must be declared as NAME: TYPE = document(DEFAULT, TEXT), of "
            "ernie_vil2.schema, with a default; correct it"
        )
    if not same_class(LOSSES.get(name, builder), builder):
        raise ConfigError(f"register_loss: there is a loss {name} already; choose another name")
    LOSSES[name] = builder
    remember("loss", name, builder)


def both_ways(
    loss: PairLoss,
    pair: Sequence[str],
    rule: str,
    labels: tuple[Labels, Labels],
    embeds: Mapping[str, paddle.Tensor],
    every: Mapping[str, paddle.Tensor],
    scale: paddle.Tensor,
) -> paddle.Tensor:
    """Scalar: half of both directions of a pair of views, summed over this rank's rows.

    rule: `objective.positives`; labels: of rows and columns; embeds {view: [b, D]}: of this rank, every {view: [B, D]}:
    of all ranks.
    """
    first, second = pair
    sums = [
        one_way(loss, *relations(*labels, *views, rule), embeds[views[0]], every[views[1]], scale)
        for views in ((first, second), (second, first))
    ]
    return (sums[0] + sums[1]) / 2.0


def one_way(
    loss: PairLoss,
    same: paddle.Tensor,
    known: paddle.Tensor,
    rows: paddle.Tensor,
    columns: paddle.Tensor,
    scale: paddle.Tensor,
) -> paddle.Tensor:
    """Scalar: the losses of the rows [b, D] against the columns [B, D], summed; a row that lacks a view has none.

    same, known: of `relations`. Such a row is given positives all the same: the logarithm of an empty sum would have no
    number for a gradient, and none times 0 is none.
    """
    counted = same.any(1)
    found = loss(rows, columns, same | ~counted.unsqueeze(1), known & ~same, scale)
    shape = tuple(found.shape) if isinstance(found, paddle.Tensor) else None
    if shape != (rows.shape[0],):
        what = f"a {type(found).__name__}" if shape is None else f"a tensor of shape {list(shape)}"
        raise ConfigError(
            f"the loss {type(loss).__name__} gave {what} for {rows.shape[0]} rows; it must give one number for each row"
        )
    return paddle.where(counted, found, paddle.zeros_like(found)).sum()
