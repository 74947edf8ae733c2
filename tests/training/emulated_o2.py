"""O2 with bf16 on a CPU, which has no bf16 kernels: values are rounded where O2 rounds, and computed with in fp32.

Inside `emulation()` the working copies of parameters are fp32 tensors of bf16 values. Operations of towers round what
they give, and the gradient that comes back to it. The gradient that a parameter holds is rounded whenever a backward
pass has added to it, as Paddle adds up in the parameter's own precision. Everything else is the library's own. Which
operations O2 keeps in fp32 was read in Paddle's amp/amp_lists.py: of those used here only embeddings, whose values are
those of their weights.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import paddle
import paddle.nn.functional as F
import pytest
from paddle.autograd import PyLayer

from ernie_vil2.models import layers, masks
from ernie_vil2.training import step, trainer
from ernie_vil2.training.optimization import weights

OPERATIONS = {
    paddle: ("matmul", "tanh"),
    F: ("linear", "layer_norm", "embedding", "softmax", "swish"),
    masks: ("dropout",),
    paddle.Tensor: ("__add__", "__radd__", "__mul__", "__rmul__", "__truediv__"),
}
"""What towers compute with, and where it is looked up."""


def bf16_values(x: paddle.Tensor) -> paddle.Tensor:
    """The values of bf16 nearest to those of x, in fp32."""
    return x.astype("bfloat16").astype("float32")


class Rounded(PyLayer):
    """x, its values rounded to bf16, and its gradient too."""

    @staticmethod
    def forward(ctx, x):
        return bf16_values(x)

    @staticmethod
    def backward(ctx, gradient):
        return bf16_values(gradient)


def low(x):
    """An operand or a result as O2 has it."""
    if not isinstance(x, paddle.Tensor) or x.dtype != paddle.float32:
        return x
    if x.stop_gradient or not paddle.is_grad_enabled():
        return bf16_values(x)
    return Rounded.apply(x)


class Autocast:
    """`autocast` of the step: `rounds` is true inside its blocks, but not in fp32."""

    def __init__(self) -> None:
        self.rounds = False

    @contextmanager
    def block(self) -> Iterator[None]:
        self.rounds = True
        try:
            yield
        finally:
            self.rounds = False

    def __call__(self, precision: str, level: str = "O1"):
        return nullcontext() if precision == "fp32" else self.block()

    def around(self, operation: Callable, operands: bool = False) -> Callable:
        """The operation, rounded inside a block; operands: they are rounded too, as pixels come in fp32."""

        def rounding(*given, **named):
            if not self.rounds:
                return operation(*given, **named)
            return low(operation(*map(low, given), **named) if operands else operation(*given, **named))

        return rounding


def round_gradients(held: weights.Weights) -> None:
    """Let every parameter of low precision keep its gradient in bf16 values."""

    def rounding(parameter):
        return lambda: paddle.assign(bf16_values(parameter.grad), parameter.grad)

    for span in held.spans:
        if span.low and not span.parameter.stop_gradient:
            span.parameter._register_backward_hook(rounding(span.parameter))


@contextmanager
def emulation() -> Iterator[None]:
    """Rigs and trainers built inside the block with `precision: bf16, amp_level: O2` take steps as on a card."""
    autocast, start = Autocast(), weights.Weights.__init__

    def started(held, *given, **named):
        start(held, *given, **named)
        round_gradients(held)

    with pytest.MonkeyPatch.context() as patch:
        for place, names in OPERATIONS.items():
            for name in names:
                patch.setattr(place, name, autocast.around(getattr(place, name), operands=name == "matmul"))
        for name, activation in layers.ACTIVATIONS.items():
            patch.setitem(layers.ACTIVATIONS, name, autocast.around(activation))
        patch.setattr(layers, "own_kernels", lambda x: False)  # a card takes Paddle's own layers
        patch.setattr(step, "autocast", autocast)
        patch.setattr(trainer, "check_precision", lambda config: None)
        patch.setattr(weights, "rounded", lambda values, dtype: bf16_values(values))
        patch.setattr(weights.Weights, "__init__", started)
        yield
