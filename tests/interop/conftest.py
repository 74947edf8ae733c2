"""Tests against the models of other projects: only in `make test-interop`, with nothing left out there.

Every test of this folder carries the mark `interop`. Its files may import torch, timm, transformers at their top: they
are not even collected unless `-m` asks for `interop`, and the stand-ins are in place before the first is imported.
"""

import os
from pathlib import Path

import pytest

from tests.interop import stand_ins

HERE = Path(__file__).resolve().parent
for switch in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):  # a test that reaches for a network is an error, not a wait
    os.environ.setdefault(switch, "1")


def is_wanted(config):
    """Whether the expression of `-m` names the mark `interop` other than by `not interop`."""
    expression = " ".join((config.getoption("markexpr") or "").split())
    return "interop" in expression.replace("not interop", "")


def pytest_ignore_collect(collection_path, config):
    if not is_wanted(config):
        return True
    stand_ins.install()
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("interop")


@pytest.fixture(scope="session", autouse=True)
def one_thread_pool():
    """Torch takes as many threads as ernie_vil2 gave to Paddle, so that neither waits for the other's."""
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.fixture(autouse=True)
def same_weights_every_time():
    """Random weights are the same in every run and whatever ran before."""
    import paddle
    import torch

    torch.manual_seed(0)
    paddle.seed(0)
