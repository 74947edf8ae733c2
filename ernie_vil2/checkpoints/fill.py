"""The one loop that copies a state into parameters: what does not fit is found before anything is set."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .formats.lazy_tensors import spec_of

if TYPE_CHECKING:
    import paddle

Shape = tuple[int, ...]
Fit = Callable[[str, Shape, Shape], Callable[[np.ndarray], np.ndarray] | None]
"""(key, shape in the state, shape wanted) -> function that makes a value of one shape one of the other; None: no way"""


class Misfit(NamedTuple):
    """A parameter that cannot be set: its shape is `wanted`, that in the state `found`, or None where it is missing."""

    key: str
    found: Shape | None
    wanted: Shape

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.key} is missing"
        return f"{self.key} is {list(self.found)} there and {list(self.wanted)} here"


def fill_parameters(
    wanted: "Mapping[str, paddle.Tensor]",
    state: Mapping[str, np.ndarray],
    *,
    names: Mapping[str, str] | None = None,
    optional: str | tuple[str, ...] = (),
    fit: Fit | None = None,
) -> list[Misfit]:
    """Set every parameter {key: parameter} from a state, cast to its own type, and return []; or set none of them and
    return all Misfits, in the order of `wanted`.

    state: {key: array}, bfloat16 as uint16; shapes are compared first, then tensors are read and set one at a time,
    so that no more than one of a lazily read state is in memory. names: {key wanted: key in the state} where they
    differ. optional: beginnings of wanted keys that may be missing, and are then left as they are. fit: how a value of
    another shape is made to fit, such as positions for another size.
    """
    import paddle

    wrong, steps = [], []
    for key, parameter in wanted.items():
        source, shape = key if names is None else names.get(key), tuple(parameter.shape)
        if source is None or source not in state:
            if not key.startswith(optional):
                wrong.append(Misfit(key, None, shape))
            continue
        found, change = tuple(spec_of(state, source).shape), None
        if found != shape:
            change = fit and fit(key, found, shape)
            if change is None:
                wrong.append(Misfit(key, found, shape))
        steps.append((parameter, source, change))
    if wrong:
        return wrong
    with paddle.no_grad():
        for parameter, source, change in steps:
            # No name here holds an array, or the last one would still be there while the next one is read.
            set_parameter(parameter, state[source] if change is None else change(state[source]))
    return []


def set_parameter(parameter: "paddle.Tensor", array: np.ndarray) -> None:
    """Set a parameter from an array of its shape, cast to its own type; uint16 is bfloat16."""
    import paddle

    if array.dtype == np.float32 and parameter.dtype == paddle.float32:
        parameter.set_value(array)
    else:  # not for all, as it takes ten times as long
        parameter.set_value(paddle.to_tensor(array).astype(parameter.dtype))
