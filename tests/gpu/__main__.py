"""`make test-gpu`: all points on the cards of this machine, or one sentence on what that would be."""

import sys

from ernie_vil2.runtime import import_paddle

import_paddle()

import paddle  # noqa: E402
import pytest  # noqa: E402

from tests.gpu.cards import visible_cards  # noqa: E402
from tests.gpu.points import POINTS  # noqa: E402


def sentence() -> str:
    """What would be measured, and why it is not."""
    why = "sees no NVIDIA card" if paddle.is_compiled_with_cuda() else "is a build without CUDA"
    *asked, last = (point.asks for point in POINTS.values())
    return (
        f"Paddle here {why}, so nothing is measured; on a machine with cards this would measure within ten minutes "
        f"{', '.join(asked)} and {last}, and write gpu-report.json (docs/gpu.md)."
    )


if __name__ == "__main__":
    if visible_cards() == 0:
        print(sentence())
        sys.exit(0)
    sys.exit(pytest.main(["-q", "-m", "gpu", "-rs", "tests/gpu"]))
