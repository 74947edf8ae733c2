"""One file knows devices: what it says of a CPU, and of cards that are not here and are stood in for."""

import math
import os
import re
import resource
from types import SimpleNamespace

import numpy as np
import paddle
import pytest

from ernie_vil2 import device
from ernie_vil2.device import Device, current_device, device_of
from ernie_vil2.errors import UserError
from tests.conftest import ROOT

CARDS = [Device("gpu", 1), Device("xpu"), Device("npu", 2), Device("iluvatar_gpu")]
MODULES = ["cuda", "xpu", "custom_device", "custom_device"]
"""Of paddle.device, for each of them."""
QUESTIONS = (
    r"get_device|set_device|device_count|is_compiled_with|is_[a-z]+_place|[A-Za-z]Place\(|\.place\.|is_(b?float16)_supported"
    r"|memory_(allocated|reserved|stat)|_memory_stat|paddle\.device|from paddle import .*\bdevice|expected_place"
)


class Place:
    """Where a tensor lies, in Paddle's words."""

    def __init__(self, kind, index=0):
        self.kind, self.index = kind, index
        named = {"cpu": "cpu", "gpu": "gpu", "xpu": "xpu", "pinned": "cuda_pinned"}.get(kind, "custom")
        for other in ("cpu", "gpu", "xpu", "custom", "cuda_pinned"):
            setattr(self, f"is_{other}_place", lambda other=other: other == named)
        self.gpu_device_id = self.xpu_device_id = self.custom_device_id = lambda: self.index
        self.custom_device_type = lambda: self.kind


@pytest.fixture
def paddle_device(monkeypatch):
    """Function (module of paddle.device, **functions): stands in for what needs a card."""

    def replace(module, **functions):
        module = device.importlib.import_module(f"paddle.device.{module}")
        for name, function in functions.items():
            monkeypatch.setattr(module, name, function, raising=False)

    return replace


def test_nobody_else_asks_paddle_for_its_device():
    asking = []
    for path in sorted((ROOT / "ernie_vil2").rglob("*.py")):
        if path.name in ("device.py", "runtime.py") and path.parent.name == "ernie_vil2":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(QUESTIONS, line):
                asking.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert asking == []


def test_the_process_computes_on_what_paddle_names(monkeypatch):
    for name, wanted in {"cpu": Device(), "gpu:1": CARDS[0], "xpu:0": CARDS[1], "iluvatar_gpu:0": CARDS[3]}.items():
        monkeypatch.setattr(paddle, "get_device", lambda name=name: name)
        assert current_device() == wanted and current_device().name == name


def test_a_tensor_is_computed_with_where_it_lies(monkeypatch):
    assert device_of(paddle.ones([2])) == Device("cpu")
    for wanted in CARDS:
        assert device_of(SimpleNamespace(place=Place(wanted.kind, wanted.index))) == wanted
    monkeypatch.setattr(paddle, "get_device", lambda: "gpu:1")
    assert device_of(SimpleNamespace(place=Place("pinned"))) == Device("gpu", 1)


def test_ranks_are_joined_by_what_the_kind_has():
    assert [Device().backend, *(card.backend for card in CARDS)] == ["gloo", "nccl", "bkcl", "xccl", "xccl"]
    assert ["reduce_scatter" in card.collectives for card in (Device(), *CARDS)] == [False, True, True, False, False]
    for card in (Device(), *CARDS):
        assert all(callable(getattr(paddle.distributed, name)) for name in card.collectives)
    assert [card.fused_attention for card in (Device(), *CARDS)] == [False, True, False, False, False]
    assert [card.is_cpu for card in (Device(), *CARDS)] == [True, False, False, False, False]


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("fp16", [False, True])
def test_precisions_are_what_paddle_says_of_the_place(monkeypatch, fp16, bf16):
    asked = []
    monkeypatch.setattr(paddle.amp, "is_float16_supported", lambda name: asked.append(name) or fp16)
    monkeypatch.setattr(paddle.amp, "is_bfloat16_supported", lambda name: asked.append(name) or bf16)
    for card in CARDS:
        wanted = ["fp32"] + ["fp16"] * (fp16 or card.kind == "gpu") + ["bf16"] * bf16
        assert card.precisions == tuple(wanted)
    assert set(asked) == {"gpu:1", "xpu:0", "npu:2", "iluvatar_gpu:0"}
    assert Device().precisions == ("fp32",)  # whatever Paddle says, as of many CPUs


def test_a_card_is_waited_for_and_a_cpu_is_not(monkeypatch):
    waited = []
    monkeypatch.setattr(paddle.device, "synchronize", waited.append)
    for one in (Device(), *CARDS):
        one.synchronise()
    assert waited == ["gpu:1", "xpu:0", "npu:2", "iluvatar_gpu:0"]


@pytest.mark.parametrize("card, module", [*zip(CARDS, MODULES, strict=True)])
def test_a_cards_memory_is_that_of_its_tensors(paddle_device, card, module):
    most = {card.index: 5 << 20}
    paddle_device(
        module,
        memory_allocated=lambda index: {card.index: 3 << 19}[index],
        max_memory_allocated=lambda index: most[index],
        reset_max_memory_allocated=lambda index: most.update({index: 3 << 19}),
        device_count=(lambda: 4) if module != "custom_device" else (lambda kind: {card.kind: 4}[kind]),
    )
    assert card.memory() == card.tensors() == device.Memory(1.5, 5.0) and card.count == 4
    card.forget_most()
    assert card.memory().most == 1.5


def test_a_cards_total_is_told_or_infinite(paddle_device):
    properties = {
        "gpu:1": SimpleNamespace(total_memory=80 << 30),
        "iluvatar_gpu:0": SimpleNamespace(total_memory=1 << 30),
    }
    paddle_device("cuda", get_device_properties=properties.__getitem__)
    paddle_device("xpu", memory_total=lambda index: (32 << 30) + index)
    assert [card.memory_total() for card in CARDS[:3]] == [80 * 1024, 32 * 1024, math.inf]  # Paddle refuses an npu's
    paddle_device("custom_device", get_device_properties=properties.__getitem__)
    assert CARDS[3].memory_total() == 1024


def test_a_cpus_memory_is_that_of_the_process_and_what_is_free():
    held = np.ones((64, 1 << 20), np.uint8)
    now = Device().memory()
    with open("/proc/self/statm", encoding="ascii") as handle:
        resident = int(handle.read().split()[1]) * resource.getpagesize() / 2**20
    assert abs(now.now - resident) < 16 and 64 < now.now <= now.most + 1 and held.any()
    physical = os.sysconf("SC_PHYS_PAGES") * resource.getpagesize() / 2**20
    assert now.now < Device().memory_total() < physical + now.now and Device().count == 1


def test_a_cpus_tensors_are_counted_and_their_peak_can_be_forgotten():
    cpu = Device()
    before = cpu.tensors().now
    tensor = paddle.ones([1 << 20])
    assert cpu.tensors().now - before == 4.0
    del tensor
    assert cpu.tensors().most >= before + 4.0
    cpu.forget_most()
    assert cpu.tensors().most == cpu.tensors().now == before


def test_a_system_without_proc_tells_a_total_that_fits_anything(monkeypatch, tmp_path):
    monkeypatch.setattr(device, "Path", lambda path: tmp_path / path.lstrip("/"))
    assert Device().memory_total() == math.inf
    with pytest.raises(UserError, match="/proc/self/status, which this system does not have"):
        Device().memory()


def test_a_copy_of_a_view_is_the_view_alone():
    whole = paddle.arange(12, dtype="float32")
    part = device.float32_copy(whole._slice(2, 8).reshape([2, 3]).astype("bfloat16"))
    assert part.dtype == np.float32 and part.tolist() == [[2, 3, 4], [5, 6, 7]]
    mine = device.float32_copy(whole._slice(0, 3))
    mine[:] = 9
    assert whole.numpy()[:3].tolist() == [0, 1, 2]
