"""Precisions that a run refuses: on a CPU, and on cards that are not here and are stood in for."""

import paddle
import pytest

from ernie_vil2.config.run import TrainConfig
from ernie_vil2.errors import ConfigError
from ernie_vil2.training.setup.preflight import check_precision

NO_CARD = (
    "train.precision {} needs a GPU, and Paddle sees none here (on a CPU it would silently stay in fp32); "
    "set train.precision: fp32"
)
OLD_CARD = "train.precision bf16 needs a GPU of compute capability 8.0 or more; set train.precision: fp16"
OTHER_CARD = "train.precision {} is not supported by this device, {}; set train.precision: {}"


@pytest.fixture
def card(monkeypatch):
    """Function (Paddle's name of the device, *precisions that it has)."""

    def replace(name, *precisions):
        monkeypatch.setattr(paddle, "get_device", lambda: name)
        monkeypatch.setattr(paddle.amp, "is_float16_supported", lambda place: "fp16" in precisions)
        monkeypatch.setattr(paddle.amp, "is_bfloat16_supported", lambda place: "bf16" in precisions)

    return replace


@pytest.mark.parametrize(
    "name, there, refused",
    [
        ("cpu", ["bf16"], {"fp16": NO_CARD.format("fp16"), "bf16": NO_CARD.format("bf16")}),
        ("gpu:0", ["fp16"], {"bf16": OLD_CARD}),
        ("gpu:1", ["fp16", "bf16"], {}),
        ("xpu:0", ["fp16", "bf16"], {}),
        (
            "xpu:0",
            [],
            {"fp16": OTHER_CARD.format("fp16", "xpu:0", "fp32"), "bf16": OTHER_CARD.format("bf16", "xpu:0", "fp32")},
        ),
        ("npu:3", ["fp16"], {"bf16": OTHER_CARD.format("bf16", "npu:3", "fp16")}),
        ("mlu:0", ["bf16"], {"fp16": OTHER_CARD.format("fp16", "mlu:0", "bf16")}),
        ("iluvatar_gpu:0", ["fp16", "bf16"], {}),
    ],
)
def test_a_precision_runs_where_its_kernels_are_and_is_refused_in_a_sentence_elsewhere(card, name, there, refused):
    card(name, *there)
    for precision in ("fp32", "fp16", "bf16"):
        config = TrainConfig(precision=precision)
        if precision in refused:
            with pytest.raises(ConfigError) as error:
                check_precision(config)
            assert str(error.value) == refused[precision]
        else:
            check_precision(config)


def test_half_precision_weights_are_bf16_on_any_card(card):
    card("gpu:0", "fp16", "bf16")
    check_precision(TrainConfig(precision="bf16", amp_level="O2"))
    with pytest.raises(ConfigError, match="small ones vanish"):
        check_precision(TrainConfig(precision="fp16", amp_level="O2"))
