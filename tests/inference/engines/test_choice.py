"""Which engine is taken: by what the processor has, what is installed and what was asked; the rest is a sentence."""

import pytest

from ernie_vil2.device import CPU, Device
from ernie_vil2.errors import ConfigError
from ernie_vil2.inference.engines import processor as processors
from ernie_vil2.inference.engines.choice import ENGINES, PRECISIONS, choose, told
from ernie_vil2.inference.engines.processor import Processor, parse_sets, this_processor

GENOA = "vendor_id\t: AuthenticAMD\nflags\t\t: fpu sse avx2 avx512f avx512_bf16 avx512_vnni\nbugs\t\t: sysret\n\n"
SAPPHIRE = "vendor_id\t: GenuineIntel\nflags\t\t: fpu avx2 avx512f avx512_vnni amx_bf16 amx_int8 avx512_bf16\n\n"
ALDER = "vendor_id\t: GenuineIntel\nflags\t\t: fpu avx2 avx_vnni\nvmx flags\t: avx512_bf16\n\n"
OLD = "vendor_id\t: GenuineIntel\nflags\t\t: fpu sse avx2\n\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd bf16 i8mm\n\n"
FAST, SLOW, UNKNOWN = (Processor(parse_sets(text), 2) for text in (GENOA, OLD, ARM))
BOTH = {"paddle": "3.3.1", "openvino": "2026.4.1"}
ALONE = {"paddle": "3.3.1", "openvino": None}
CARD = Device("gpu", 1)


@pytest.mark.parametrize(
    "text, bf16, int8",
    [
        (GENOA, True, True),
        (SAPPHIRE, True, True),
        (ALDER, False, True),
        (OLD, False, False),
        (ARM, False, False),
        ("", False, False),
        (GENOA + GENOA + OLD, False, False),
        (SAPPHIRE + GENOA, True, True),
    ],
    ids=["AMD", "Intel", "what guests may have", "old", "ARM", "nothing", "of all cores", "of different cores"],
)
def test_what_a_processor_is_fast_at(text, bf16, int8):
    found = Processor(parse_sets(text), 2)
    assert (found.bf16, found.int8) == (bf16, int8)


def test_this_processor_is_described_as_its_system_tells(monkeypatch):
    monkeypatch.setattr(processors, "instruction_sets", lambda: FAST.sets)
    monkeypatch.setattr(processors, "cpu_count", lambda: 7)
    assert this_processor() == Processor(FAST.sets, 7)
    assert FAST.told == "avx512_bf16, avx512_vnni, avx512f, avx2" and "system" in UNKNOWN.told
    assert Processor(frozenset({"sse"}), 1).told.startswith("none of avx512_bf16")


def test_auto_is_openvino_on_a_cpu_that_has_it_and_paddle_elsewhere():
    def chosen(device, installed):
        choice = choose("auto", "fp32", device, processor=SLOW, installed=installed)
        return choice.engine, choice.version

    assert chosen(CPU, BOTH) == ("openvino", "2026.4.1")
    assert chosen(CPU, ALONE) == chosen(CARD, BOTH) == chosen(CARD, ALONE) == ("paddle", "3.3.1")


def test_all_that_an_engine_can_do_is_given_and_nothing_else():
    for engine, precisions in ENGINES.items():
        for precision in PRECISIONS:
            try:
                choice = choose(engine, precision, CPU, processor=FAST, installed=BOTH, quantised=True)
            except ConfigError:
                assert precision not in precisions
            else:
                assert precision in precisions and (choice.engine, choice.precision) == (engine, precision)
    assert choose("paddle_inference", "bf16", CARD, processor=SLOW, installed=ALONE).precision == "bf16"


@pytest.mark.parametrize(
    "engine, precision, said, with_what",
    [
        ("openvno", "fp32", "there is no engine 'openvno'; did you mean openvino?", {}),
        ("tensor\n", "fp32", r"there is no engine 'tensor\n'; give auto, paddle, paddle_inference or openvino", {}),
        (None, "fp32", "there is no engine None; give auto", {}),
        ("auto", "bf61", "there is no precision 'bf61'; did you mean bf16?", {}),
        ("auto", "bf16", "needs a processor with avx512_bf16 or amx_bf16, and this one has avx2; give fp32", SLOW),
        ("paddle_inference", "bf16", "and this one has nothing that the system tells of", UNKNOWN),
        ("paddle", "bf16", "the engine paddle computes in fp32 alone, not in bf16; give fp32, or the engine", {}),
        ("paddle", "int8", "not in int8; give fp32, or the engine openvino", {}),
        ("paddle_inference", "int8", "paddle_inference computes in fp32 and bf16 alone, not in int8; give", {}),
        ("openvino", "fp32", "openvino is not installed; install it with: pip install openvino, or", ALONE),
        ("auto", "bf16", "paddle_inference or openvino (openvino is not installed; install it with", ALONE),
        ("openvino", "fp32", "computes on CPUs, and the device is gpu:1; give the engine paddle", CARD),
        ("auto", "bf16", "not in bf16; give fp32, or the engine paddle_inference", CARD),
        ("auto", "int8", "not in int8, which no engine does on gpu:1; give fp32, or the device cpu", CARD),
        ("auto", "int8", "quantize it first with ernie-vil2 quantize MODEL --calibrate SOURCE", {}),
    ],
)
def test_what_cannot_be_is_one_sentence(engine, precision, said, with_what):
    device = with_what if isinstance(with_what, Device) else CPU
    processor = with_what if isinstance(with_what, Processor) else FAST
    with pytest.raises(ConfigError) as caught:
        choose(engine, precision, device, processor=processor, installed=ALONE if with_what is ALONE else BOTH)
    assert said in str(caught.value) and len(str(caught.value)) < 300


def test_a_line_tells_of_both_towers():
    def chosen(engine, precision):
        return choose(engine, precision, CPU, processor=FAST, installed=BOTH, quantised=True)

    same = {"image": chosen("auto", "int8"), "text": chosen("auto", "bf16")}
    assert told(same) == "engine: openvino 2026.4.1, int8 (images), bf16 (texts), the fastest on a CPU"
    other = {"image": chosen("openvino", "fp32"), "text": chosen("paddle", "fp32")}
    assert told(other) == (
        "engine: openvino 2026.4.1, fp32 (images), as asked for; paddle 3.3.1, fp32 (texts), as asked for"
    )
