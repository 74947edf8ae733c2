"""torch's side: the same kernels as its users call them."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..turns.answers import converse
from .passes import Pass, answer
from .work import Kernel

if TYPE_CHECKING:
    import torch

START = "from ernie_vil2.studies.speed.kernels import torch_side; torch_side.main()"


def begin(job: Mapping[str, Any]) -> tuple[str, Callable[[Any], Any]]:
    """One thread, as the other sides."""
    import torch

    torch.set_num_threads(1)
    return f"torch {torch.__version__}", answer(make)


def make(kernel: Kernel) -> Pass:
    """The passes of a kernel."""
    import torch

    arrays = kernel.inputs()
    if kernel.kind == "linear":  # torch's weights are [out, in]
        arrays[1] = arrays[1].T.copy()
    given = [torch.from_numpy(values).requires_grad_() for values in arrays]
    function, state = function_of(kernel), {}
    slope = torch.ones_like(function(*given))

    def forward() -> None:
        state["value"] = None
        state["value"] = function(*given)

    return forward, lambda: torch.autograd.grad([state["value"]], given, [slope])


def function_of(kernel: Kernel) -> "Callable[..., torch.Tensor]":
    """The function of a kernel's inputs."""
    import torch.nn.functional as F

    from ..torch_towers import ACTIVATIONS

    after = ACTIVATIONS.get(kernel.activation, lambda x: x)

    def attention(*parts: "torch.Tensor") -> "torch.Tensor":
        batch, length, heads = kernel.rows, kernel.length, kernel.heads
        if kernel.joint:
            parts = parts[0].view(batch, length, 3, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        else:
            parts = [part.view(batch, length, heads, -1).transpose(1, 2) for part in parts]
        mixed = F.scaled_dot_product_attention(*parts, dropout_p=kernel.dropout)
        return mixed.transpose(1, 2).reshape(batch, length, kernel.width)

    return {
        "norm": lambda x, weight, bias: F.layer_norm(x, (kernel.width,), weight, bias),
        "linear": lambda x, weight, bias: after(F.linear(x, weight, bias)),
        "attention": attention,
        "sum": lambda x, y: x + y,
        "dropout": lambda x: F.dropout(x, kernel.dropout),
    }[kernel.kind]


def main() -> None:
    """The process of this side."""
    converse(begin)
