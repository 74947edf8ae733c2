"""Paddle's sides: a kernel as the layers of this project call it in training, and by Paddle's own kernels alone."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ....runtime import import_paddle
from ....threads import set_kernel_threads
from ..turns.answers import converse
from .passes import Pass, answer
from .work import Kernel

if TYPE_CHECKING:
    import paddle

    Function = Callable[..., paddle.Tensor]

START = "from ernie_vil2.studies.speed.kernels import project; project.main()"


def begin(job: Mapping[str, Any]) -> tuple[str, Callable[[Any], Any]]:
    """own: whether the layers compute by this project's kernels, where they do so in training."""
    import_paddle()
    import paddle

    from ....threads import note_computing

    note_computing()
    set_kernel_threads(1)
    functions = own_functions() if job["own"] else plain_functions()

    def make(kernel: Kernel) -> Pass:
        given = [paddle.to_tensor(values, stop_gradient=False) for values in kernel.inputs()]
        function, state = functions[kernel.kind](kernel), {}
        slope = paddle.ones_like(function(*given).detach())

        def forward() -> None:
            state["value"] = None  # frees what the last pass kept, as a step does
            state["value"] = function(*given)

        return forward, lambda: paddle.grad([state["value"]], given, [slope])

    return "", answer(make)


def heads_of(kernel: Kernel, tensor: "paddle.Tensor") -> "paddle.Tensor":
    """Tokens [B, N, W] with their heads apart, or [B, N, 3 W] with query, key and value before them."""
    depth = kernel.width // kernel.heads
    return tensor.reshape([0, 0, 3, kernel.heads, depth] if kernel.joint else [0, 0, kernel.heads, depth])


def bias_of(kernel: Kernel) -> "paddle.Tensor | None":
    """A mask of nothing, as a batch without padding has it."""
    import paddle

    return paddle.zeros([kernel.rows, 1, 1, kernel.length]) if kernel.masked else None


def plain_functions() -> "dict[str, Callable[[Kernel], Function]]":
    """{kind: function of a kernel's inputs} by Paddle's kernels."""
    import paddle.nn.functional as F

    from ....models.layers import ACTIVATIONS, plain_attention

    def linear(kernel: Kernel) -> "Function":
        after = ACTIVATIONS.get(kernel.activation, lambda x: x)
        return lambda x, weight, bias: after(F.linear(x, weight, bias))

    def attention(kernel: Kernel) -> "Function":
        bias = bias_of(kernel)

        def attend(*parts: "paddle.Tensor") -> "paddle.Tensor":
            found = [heads_of(kernel, part) for part in parts]
            return plain_attention(*(found[0].unbind(2) if kernel.joint else found), bias, kernel.dropout)

        return attend

    return {
        "norm": lambda kernel: lambda x, weight, bias: F.layer_norm(x, kernel.width, weight, bias),
        "linear": linear,
        "attention": attention,
        "sum": lambda kernel: lambda x, y: x + y,
        "dropout": lambda kernel: lambda x: F.dropout(x, kernel.dropout),
    }


def own_functions() -> "dict[str, Callable[[Kernel], Function]]":
    """{kind: function of a kernel's inputs} by the layers of this project in training."""
    from ....models import layers, masks

    def linear(kernel: Kernel) -> "Function":
        layer = layers.Linear(kernel.width, kernel.outputs)

        def compute(x: "paddle.Tensor", weight: "paddle.Tensor", bias: "paddle.Tensor") -> "paddle.Tensor":
            layer._parameters.update(weight=weight, bias=bias)
            return layer.activated(x, kernel.activation) if kernel.activation else layer(x)

        return compute

    def norm(kernel: Kernel) -> "Function":
        layer = layers.LayerNorm(kernel.width)

        def compute(x: "paddle.Tensor", weight: "paddle.Tensor", bias: "paddle.Tensor") -> "paddle.Tensor":
            layer._parameters.update(weight=weight, bias=bias)
            return layer(x)

        return compute

    def attention(kernel: Kernel) -> "Function":
        bias, attend = bias_of(kernel), layers.self_attention if kernel.joint else layers.attention

        def compute(*parts: "paddle.Tensor") -> "paddle.Tensor":
            with masks.keyed((kernel.name,), 1, kernel.rows):  # as in a step, where no thread waits for the generator
                return attend(*(heads_of(kernel, part) for part in parts), bias, kernel.dropout, True)

        return compute

    def dropout(kernel: Kernel) -> "Function":
        def compute(x: "paddle.Tensor") -> "paddle.Tensor":
            with masks.keyed((kernel.name,), 1, kernel.rows):
                return masks.dropout(x, kernel.dropout)

        return compute

    return {**plain_functions(), "norm": norm, "linear": linear, "attention": attention, "dropout": dropout}


def main() -> None:
    """The process of these sides."""
    converse(begin)
