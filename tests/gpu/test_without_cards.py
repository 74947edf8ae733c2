"""What `make test-gpu` measures, as far as it needs no card: right on good code, wrong on broken."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import paddle
import pytest

from ernie_vil2.device import Device
from ernie_vil2.models import layers, masks
from ernie_vil2.training import distributed
from ernie_vil2.training.rig import build
from tests.conftest import ROOT
from tests.gpu import attention, cards, kill, rank_jobs, ranks, steps
from tests.gpu.kernel_trace import Event, Trace, trace_of, traced
from tests.gpu.points import BUDGET, POINTS, Point, run
from tests.gpu.records import Figure, Record, Report
from tests.gpu.step_profile import product_error, profile_record
from tests.training.rank_cases import CASES
from tests.training.runs import environment

TOWER = {"width": 32, "heads": 2, "depth": 1}
TINY_RUN = {
    "objective__pairs": [["image", "caption"]],
    "data__workers": 0,
    "train__batch_size": 6,
    "train__micro_batch": 2,
    "train__log_every": 1,
}


def outcomes(records):
    return {f"{record.point} {record.case}": record.passed for record in records}


# Records and the report


@pytest.mark.parametrize(
    "figure, inside",
    [
        (Figure(1.0, most=1.0), True),
        (Figure(1.1, most=1.0), False),
        (Figure(0.9, least=1.0), False),
        (Figure(float("nan"), most=1.0), False),
        (Figure(None, "s", most=1.0), False),
        (Figure("flash"), True),
    ],
)
def test_a_figure_is_inside_its_limits_or_not(figure, inside):
    assert figure.inside is inside and Record("point", figures={"value": figure, "other": Figure(1)}).passed is inside


def test_a_report_holds_every_record_whole_after_each_point(tmp_path):
    path, report = tmp_path / "report.json", Report(tmp_path / "report.json")
    good = Record("a", "case", {"error": Figure(0.1, "of it", 1.0)}, "it is small", details={"13": 0.1})
    report.add([good], {"FLAGS_x": "1"})
    assert json.loads(path.read_text())["counts"] == {"passed": 1, "failed": 0, "not_run": 0}
    report.add([Record("b", reason="one card", lacking=True), Record("b", reason="it broke")], {})
    content = json.loads(path.read_text())
    assert content["counts"] == {"passed": 1, "failed": 1, "not_run": 1}
    assert [Record.from_json(data) for data in content["records"]] == report.records and report.records[0] == good
    assert content["versions"]["ernie_vil2"] and content["paddle"]["full_version"] == paddle.version.full_version
    assert {"driver", "cards", "settings", "seconds"} <= set(content)
    assert content["settings_of_points"] == {"a": {"FLAGS_x": "1"}, "b": {}}


def test_a_record_reads_as_one_or_two_lines():
    shown = Record("a", "bf16", {"error": Figure(0.5, "of it", 0.1)}, "as it should be").lines()
    assert shown == "FAILED: a, bf16: error 0.5 of it (most 0.1)\n    as it should be"
    assert Record("a", reason="one card", lacking=True).lines() == "not run: a\n    one card"


# Points run by themselves


def breaking(folder):
    yield Record("probe", "first", {"value": Figure(1, most=1)})
    raise ValueError("no such kernel")


def test_a_point_that_breaks_keeps_what_it_had_and_says_why(tmp_path, monkeypatch):
    from tests.gpu import points

    point = Point("probe", "nothing", "none.none", 5)
    monkeypatch.setattr(Point, "function", lambda self: breaking)
    points.measure(point, tmp_path)
    first, second = points.written(tmp_path)
    assert first.passed is True and second.passed is False and second.reason == "ValueError: no such kernel"


@pytest.mark.parametrize(
    "code, seconds, reason",
    [
        ("import os; print('illegal address'); os.abort()", 60, "it ended with status -6: illegal address"),
        ("import time; print('begun', flush=True); time.sleep(60)", 1, "it was not done after 1 s: begun"),
        ("", 60, "it said nothing"),
    ],
)
def test_a_process_that_dies_or_hangs_is_a_record(tmp_path, monkeypatch, code, seconds, reason):
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: start([sys.executable, "-c", code], **options))
    assert [record.reason for record in run(Point("probe", "nothing", "none.none", seconds), tmp_path, 1)] == [reason]


def test_points_fit_into_ten_minutes_and_are_there():
    assert sum(point.seconds for point in POINTS.values()) <= BUDGET
    assert all(callable(point.function()) for point in POINTS.values())


def test_one_card_is_not_enough_for_two(tmp_path):
    (record,) = run(POINTS["weights"], tmp_path, 1)
    assert record.passed is None and record.reason == "it needs 2 cards, and 1 can be used"


def test_without_a_card_it_is_one_sentence(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.gpu"],
        cwd=ROOT,
        env=environment(GPU_REPORT=str(tmp_path / "report.json")),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "") and not (tmp_path / "report.json").exists()
    (line,) = done.stdout.splitlines()
    assert line.startswith("Paddle here ") and line.endswith(".") and ". " not in line
    assert all(point.asks in line for point in POINTS.values())


def test_nvidia_smi_is_read(monkeypatch):
    answers = {
        "--query-gpu": "0, GPU-a, NVIDIA A100, 8.0, 81920, 550.54\n1, GPU-b, NVIDIA A100, 8.0, 81920, 550.54\n",
        "--query-compute-apps": "GPU-a, 11\nGPU-b, 12\nGPU-b, 11\n",
    }

    def answer(command, **options):
        return SimpleNamespace(returncode=0, stdout=answers[command[1].partition("=")[0]])

    monkeypatch.setattr(subprocess, "run", answer)
    found = cards.driver_and_cards()
    assert found["driver"] == "550.54" and [card["uuid"] for card in found["cards"]] == ["GPU-a", "GPU-b"]
    assert cards.processes_by_card() == {"GPU-a": 1, "GPU-b": 2}


# Attention, through the branch of the fused kernel


@pytest.fixture
def fused(monkeypatch):
    """Attention takes the branch of a card, where Paddle chooses its plain form on a CPU."""
    monkeypatch.setattr(Device, "fused_attention", property(lambda self: True))


@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_measured_against_numpy(fused, masked):
    record = attention.accuracy("fp32", masked)
    assert record.passed and set(record.details) == {str(length) for length in attention.LENGTHS}


@pytest.mark.parametrize("broken", ["scale", "mask", "gradient", "bf16"])
def test_wrong_attention_is_seen(fused, monkeypatch, broken):
    compute = paddle.nn.functional.scaled_dot_product_attention

    def wrong(query, key, value, attn_mask=None, **options):
        if broken == "scale":
            query = query * 1.01
        if broken == "gradient":
            key = key.detach()
        if broken == "bf16":
            query = query.astype("bfloat16").astype("float32")
        return compute(query, key, value, attn_mask=None if broken == "mask" else attn_mask, **options)

    monkeypatch.setattr(layers.F, "scaled_dot_product_attention", wrong)
    assert attention.accuracy("fp32", True, lengths=(13,)).passed is False


def test_the_choice_of_a_kernel_and_the_narrow_mask_are_told(fused):
    record = attention.choice("fp32", (8, 0), length=13)
    assert record.figures["chosen"].value == "math" and record.passed
    assert attention.broadcast("fp32").figures["largest difference"].value < 1e-6


# Steps


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder that keeps the vocabulary for all steps."""
    return tmp_path_factory.mktemp("steps")


def test_the_gradient_cache_draws_its_masks_again(folder):
    assert set(outcomes(steps.cache(folder, ("fp32",), TOWER, 12)).values()) == {True}


def test_masks_that_are_drawn_anew_are_seen(folder, monkeypatch):
    monkeypatch.setattr(masks, "generator", lambda *key: np.random.default_rng())
    assert next(steps.cache(folder, ("fp32",), TOWER, 12)).passed is False


def test_weights_that_are_given_are_what_learns(folder):
    rig = build(steps.run_config(folder, TOWER, batch_size=12))
    wanted = {name: np.full(value.shape, 0.5, np.float32) for name, value in rig.weights.arrays().items()}
    steps.take_weights(rig, wanted)
    rig.close()
    for name, value in rig.weights.arrays().items():
        np.testing.assert_array_equal(value, wanted[name])


def test_a_step_points_where_fp32_does(folder):
    found = outcomes(steps.half_precision(folder, ("fp32", "bf16"), TOWER, 12))
    assert found == {"step fp32 O1": True, "step fp32 O1, recompute": True, "step bf16": None}


def test_a_gradient_that_points_elsewhere_is_seen():
    rng = np.random.default_rng(0)
    wanted = {name: rng.standard_normal(1000).astype(np.float32) for name in "abc"}
    wanted["contrastive_loss_mm.temperature_b"] = np.ones(1)
    noise = {name: value + 0.02 * rng.standard_normal(len(value)) for name, value in wanted.items()}
    assert Record("a", figures=steps.agreement(noise, wanted, 0.999, 0.02)).passed
    turned, longer = {**wanted, "b": -wanted["b"]}, {name: 1.1 * value for name, value in wanted.items()}
    fewer = {name: value for name, value in wanted.items() if name != "c"}
    for found in (turned, longer, fewer):
        assert Record("a", figures=steps.agreement(found, wanted, 0.999, 0.02)).passed is False


def test_sums_of_chunks_in_fp32_and_in_bf16_are_told_apart(folder, monkeypatch):
    taken, step = [], steps.gradient
    monkeypatch.setattr(steps, "gradient", lambda *arguments: taken.append(step(*arguments)) or taken[-1])
    record = next(steps.chunks(folder, 12, 2, TOWER, "fp32"))
    assert record.passed and "6 chunks" in record.case
    rounded = iter([{name: steps.bf16(value) for name, value in gradients.items()} for gradients in taken])
    monkeypatch.setattr(steps, "trained_weights", lambda *arguments: {})
    monkeypatch.setattr(steps, "gradient", lambda *arguments: next(rounded))
    record = next(steps.chunks(folder, 12, 2, TOWER, "fp32"))
    assert record.passed is False and record.figures["cosine"].inside


def test_rounding_to_bf16_is_paddles():
    values = np.random.default_rng(0).standard_normal(10000).astype(np.float32)
    np.testing.assert_array_equal(
        steps.bf16(values), paddle.to_tensor(values).astype("bfloat16").astype("float32").numpy()
    )


# Ranks


def test_gradients_of_two_ranks_are_judged_by_their_worst_case():
    one = {f"{case}/a.weight": np.full(10, 2.0) for case in CASES}
    assert ranks.gradient_record(one, dict(one)).passed
    case = list(CASES)[3]
    record = ranks.gradient_record(one, {**one, f"{case}/a.weight": np.full(10, 2.01)})
    assert record.passed is False and record.figures["of"].value == case
    assert ranks.gradient_record(one, {key: one[key] for key in one if not key.startswith(case)}).passed is False


def batch_norm_errors(folder, monkeypatch, size):
    """Errors of batch norms with their own rows, as `size` ranks have them."""
    for rank in range(size):
        alone = SimpleNamespace(rank=rank, size=size, leave=lambda: None)
        monkeypatch.setattr(distributed, "join_ranks", lambda alone=alone: alone)
        rank_jobs.batch_norm(folder, "local")
    return ranks.batch_norm_errors([dict(np.load(folder / f"rank-{rank}.npz")) for rank in range(size)])


def test_batch_norm_of_the_whole_batch_and_of_a_ranks_own_rows_are_told_apart(tmp_path, monkeypatch):
    whole, local = (batch_norm_errors(tmp_path, monkeypatch, size) for size in (1, 2))
    assert ranks.batch_norm_record("over ranks", whole).passed is True
    assert ranks.batch_norm_record("over ranks", local).passed is False
    assert ranks.batch_norm_record("local", local).passed is True
    assert ranks.batch_norm_record("local", whole).passed is False


def test_two_ranks_end_with_the_same_weights(tmp_path):
    same, own = ranks.weights(tmp_path, 4, **TINY_RUN)
    assert same.passed is True and same.figures["tensors that differ between ranks"].unit.startswith("of ")
    found = ranks.rank_files(tmp_path)
    found[1]["weights"][next(iter(found[1]["weights"]))] = "other"
    assert ranks.weights_record("weights", "", found).passed is False
    assert own.passed is None


def test_a_rank_on_the_card_of_another_is_seen():
    before = {"a": 1}
    assert ranks.own_cards_record(before, {"a": 2, "b": 1}).passed is True
    assert ranks.own_cards_record(before, {"a": 3, "b": 1}).passed is False
    assert ranks.own_cards_record(before, {"a": 3}).passed is False
    assert ranks.own_cards_record(before, {"a": 2, "b": 1, "c": 1}).passed is False
    assert ranks.own_cards_record({}, {}).passed is None


def test_a_resume_that_loses_a_bit_is_seen():
    straight = {"weights/a": np.arange(4.0), "optimizer/a": np.arange(4.0)}
    assert ranks.resume_record("", straight, dict(straight)).passed
    other = {**straight, "weights/a": np.nextafter(straight["weights/a"], 9)}
    assert ranks.resume_record("", straight, other).passed is False
    assert ranks.resume_record("", straight, {"weights/a": straight["weights/a"]}).passed is False


def test_a_killed_rank_ends_the_job(tmp_path):
    (record,) = kill.measure(tmp_path, 60.0, **TINY_RUN)
    assert record.passed, record.lines()
    for end in ((None, 3.0, 1, set()), (1.0, None, None, set()), (1.0, 3.0, 0, set()), (1.0, 3.0, 1, {7})):
        assert kill.end_record(*end).passed is False


# The profile


def test_idle_time_is_what_no_event_of_the_device_covers():
    device = [Event("gemm", "Kernel", 10, 40), Event("copy", "Memcpy", 30, 50), Event("late", "Kernel", 80, 130)]
    runtime = [Event(name, "CudaRuntime", 0, 1) for name in ("cudaMemcpy_v3020", "cudaMemcpyAsync", "cudaLaunchKernel")]
    trace = Trace(device, runtime, 0, 100)
    assert trace.idle == pytest.approx(0.4) and trace.waits() == {"cudaMemcpy": 1} and trace.copies() == {"copy": 1}
    record = profile_record(trace, 32, 0.05)
    assert record.passed and record.figures["kernels"].value == 2 and record.figures["idle"].value == trace.idle
    assert profile_record(Trace([], [], 0, 1), 32, 0.1).passed is False


def node(name, kind, began, ended, **parts):
    empty = {"children_node": [], "runtime_node": [], "device_node": []}
    return SimpleNamespace(
        name=name, type=SimpleNamespace(name=kind), start_ns=began, end_ns=ended, **{**empty, **parts}
    )


def test_a_profile_is_read_from_paddles_nodes():
    kernel, copy = node("gemm", "Kernel", 5, 9), node("MEMCPY_HtoD", "Memcpy", 1, 2)
    call = node("cudaLaunchKernel", "CudaRuntime", 3, 4, device_node=[kernel])
    step = node("ProfileStep#0", "ProfileStep", 0, 10, runtime_node=[call], device_node=[copy])
    trace = trace_of({1: node("root", "UserDefined", 0, 99, children_node=[step])})
    assert {event.name for event in trace.device} == {"gemm", "MEMCPY_HtoD"} and trace.idle == pytest.approx(0.5)
    assert [event.name for event in trace.runtime] == ["cudaLaunchKernel"] and (trace.began, trace.ended) == (0, 10)


def test_a_profile_of_a_processor_has_no_kernels():
    trace = traced(lambda: paddle.ones([2]).sum().item())
    assert trace.device == [] and trace.ended > trace.began
    assert product_error() < 1e-6
