"""The projection to many cards: counts that others know, limits that must hold, and a page that the numbers made."""

import dataclasses
import json

import numpy as np
import paddle
import pytest

from ernie_vil2.cli.arguments import Parser
from ernie_vil2.cli.bench import scale
from ernie_vil2.config.model import ModelConfig
from ernie_vil2.config.run import ObjectiveConfig
from ernie_vil2.config.tower_fields import ImageTowerConfig, TextTowerConfig
from ernie_vil2.data.batches.views import Batch
from ernie_vil2.device import Device, Memory
from ernie_vil2.errors import ConfigError, DataError
from ernie_vil2.models.dual_encoder import new_model
from ernie_vil2.objectives import tiles
from ernie_vil2.objectives.comparison import Comparison
from ernie_vil2.objectives.contrastive import ContrastiveObjective
from ernie_vil2.objectives.gather import divide
from ernie_vil2.objectives.log_sums import CrossEntropy, sums_of
from ernie_vil2.objectives.positives import Labels
from ernie_vil2.studies.card_branches import branches_of_a_card
from ernie_vil2.studies.operations import tower_flops, view_flops
from ernie_vil2.studies.scaling import division, large_batches, measure, report, view_costs
from ernie_vil2.studies.scaling.cards import CARDS, Assumptions
from ernie_vil2.studies.scaling.host_section import host_limited
from ernie_vil2.studies.scaling.loss_memory import normal
from ernie_vil2.studies.scaling.project import CLIP_TEXT, Projection, peak, reached_flops
from ernie_vil2.studies.scaling.rank_traffic import GATHERED, PAIRS, TEXT_VIEWS
from ernie_vil2.studies.scaling.stops import stop
from ernie_vil2.studies.scaling.view_costs import SIZES, allocated
from ernie_vil2.training.distributed import owners
from tests.conftest import ROOT

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def measured():
    return scale.read_measured(DOCS / "scaling.json")


@pytest.fixture
def projection(measured):
    """On an A100 whose host needs no time."""
    return Projection(measured, CARDS["a100"], Assumptions(host_factor=1e-9))


def test_operations_are_those_of_the_literature():
    base, large = view_flops(SIZES["base"])[0], view_flops(SIZES["large"])[0]
    assert base == pytest.approx(2 * 17.6e9, rel=0.01) and large == pytest.approx(2 * 81.1e9, rel=0.01)
    assert tower_flops(**CLIP_TEXT) == pytest.approx(2 * 2.98e9, rel=0.03)
    assert reached_flops(CARDS["a100"]) / 312e12 == pytest.approx(0.138, abs=0.005)  # open_clip: 11 to 13 % of the peak
    assert reached_flops(CARDS["h800"]) / 989e12 == pytest.approx(0.40, abs=0.01)


def test_what_the_step_really_sends_is_what_was_measured(measured):
    """A job of two ranks runs the training step itself; docs/scaling.json holds what it sent before."""
    found = measure.ask({"what": "ranks"})
    held = measured["wire"]
    assert found["loss"] == pytest.approx(measured["loss"], rel=0.02)
    assert 8 <= measured["loss"]["value"] < 12  # embeddings and gradient in fp32, and little beside them
    assert 5 * 4 < measured["loss"]["tile"] < 64  # negatives, positives, flags, powers, gradient ... in fp32
    assert measured["loss"]["line"] < 100 * len(PAIRS)
    assert held["sums_per_sample"] == 8 * len(PAIRS)
    assert found["wire"] == held
    assert held["gradient_per_parameter"] == held["embedding_per_value"] == 4 and held["sharded_per_parameter"] == 8


def test_one_card_sends_nothing(projection):
    step = projection.step("base", 1, 128)
    assert step.communication == 0 and step.overlapped == step.seconds and step.micro == 128
    plain = 128 / CARDS["a100"].pairs_per_second  # of one image and one caption of another text tower
    assert step.time["towers"] == pytest.approx(
        plain * projection.pair_flops("base") / (view_flops(SIZES["base"])[0] + tower_flops(**CLIP_TEXT))
    )
    assert step.hours(step.batch) * 3600 == pytest.approx(step.seconds)


def test_gradients_go_around_the_ring(projection, measured):
    size, assumed = 4 * measured["sizes"]["base"]["parameters"], Assumptions(latency=1e-12)
    exact = Projection(measured, CARDS["a100"], assumed)
    assert exact.gradient_time("base", 8, 0) == pytest.approx(2 * 7 / 8 * size / (300e9 * 0.8), rel=1e-6)
    assert exact.gradient_time("base", 64, 0) == pytest.approx(2 * 63 / 64 * size / (100e9 * 0.8), rel=1e-6)
    assert exact.gradient_time("base", 64, 1) == pytest.approx((2 * 63 / 64 + 1) * size / (100e9 * 0.8), rel=1e-6)
    assert exact.gradient_time("base", 64, 2) == pytest.approx(2 * size / (100e9 * 0.8), rel=1e-6)
    assert projection.gradient_time("base", 64, 2) > exact.gradient_time("base", 64, 2)
    for cards in (8, 64, 512):
        step = projection.step("base", cards, 256)
        assert step.overlapped >= step.seconds - step.time["gradients"] and step.overlapped < step.seconds


@pytest.mark.parametrize("size", SIZES)
def test_memory_and_micro_batches(projection, measured, size):
    limit, width = CARDS["a100"].memory * 0.9, SIZES[size].embed_dims()[0]
    whole, divided = projection.step(size, 64, 32, 0), projection.step(size, 64, 32, 1)
    assert whole.memory["moments"] == 8 * measured["sizes"][size]["parameters"]
    embedding = SIZES[size].text_tower.vocab_size * SIZES[size].text_tower.width
    assert divided.memory["moments"] == 8 * embedding > whole.memory["moments"] / 64
    cached = projection.step(size, 16, 1024)
    assert cached.fits and cached.bytes <= limit and cached.micro < 1024 and cached.micro & (cached.micro - 1) == 0
    twice = projection.memory(size, 16, 1024, 2 * cached.micro, 0)
    assert peak(twice, at_once=False) > limit
    once = 1024 * 3 * projection.pair_flops(size) / reached_flops(CARDS["a100"])
    assert 1.2 * once < cached.time["towers"] < 1.6 * once
    few = projection.step(size, 8, 512)
    assert cached.memory["gathered"] == 4 * few.memory["gathered"] >= 4 * 2 * 4 * 4096 * width * len(GATHERED)
    more = projection.step(size, 64, 1024)
    assert few.memory["logits"] < cached.memory["logits"] < more.memory["logits"] < cached.memory["logits"] + 30e6
    assert cached.memory["embeddings"] == 2 * few.memory["embeddings"] == 2 * 4 * 1024 * width * 5
    assert not projection.step(size, 8192, 8192).fits
    assert whole.micro == 32 and whole.bytes == sum(whole.memory.values())
    assert cached.bytes < sum(cached.memory.values())
    thrifty = Projection(measured, CARDS["a100"], recompute=True)
    assert thrifty.activations(size) < projection.activations(size) / 4


@pytest.mark.parametrize("ranks", (1, 2, 3, 100))
def test_owners_are_those_of_the_training_step(tiny_config, monkeypatch, ranks):
    monkeypatch.setitem(SIZES, "tiny", tiny_config)
    division.owned.cache_clear()
    parameters = dict(new_model(tiny_config).named_parameters())
    held = [0] * ranks
    for name, owner in owners(parameters.items(), ranks).items():
        held[owner] += parameters[name].size
    assert division.largest_load("tiny", ranks) == max(held)
    assert division.collectives("tiny", ranks) == sum(load > 0 for load in held)  # of less than a bucket each
    division.owned.cache_clear()


def test_every_owner_sends_for_itself(measured):
    """Which is what sharding costs on many cards beside its bytes: a broadcast of every owner."""
    slow = Projection(measured, CARDS["a100"], Assumptions(latency=1.0))
    once = slow.gradient_time("base", 64, 0) - slow.gradient_time("base", 64, 1)
    assert -once == pytest.approx(6 * division.collectives("base", 64), rel=0.01)
    assert division.collectives("base", 64) >= 64


def test_a_step_takes_what_the_host_needs(measured):
    times = {"1": 100.0, "2": 4000.0, "4": 10000.0}
    slow = {**measured, "host": {**measured["host"], "base": {**measured["host"]["base"], "milliseconds": times}}}
    projection, quick = (Projection(slow, CARDS["h800"], Assumptions(host_factor=each)) for each in (1, 0.1))
    assert [projection.host_time("base", count) for count in (1, 2, 3, 4, 8)] == [0.1, 4, 7, 10, 22]
    assert quick.host_time("base", 8) == pytest.approx(2.2)
    waiting, busy = projection.step("base", 64, 512), projection.step("base", 64, 64)
    assert waiting.micro == 256 and waiting.seconds == waiting.overlapped == waiting.host == 4
    assert busy.micro == 64 and busy.host == 0.1
    assert busy.seconds == pytest.approx(max(0.1, sum(busy.time[part] for part in busy.time if part != "host")))
    assert "waiting for the host" in stop(projection, "base", lambda cards: 512, 1)[1]
    assert "base on 64 cards with 512 pairs each (4.00 s" in host_limited(projection, 512, 32768, 1)
    free = Projection(slow, CARDS["h800"], Assumptions(host_factor=1e-9))
    assert "limits nowhere" in host_limited(free, 512, 32768, 1)


OPERATORS = ("add", "sub", "rsub", "mul", "and", "or", "eq", "invert", "getitem")


def bytes_of_kernels(monkeypatch, entries):
    """[bytes] that kernels read and write of tensors of so many entries, or more, from here on; products are no such
    kernel."""
    moved = [0]

    def watched(call):
        def counted(*args, **options):
            result = call(*args, **options)
            given = [part for value in args for part in (value if isinstance(value, list) else [value])]
            tensors = [value for value in (*given, result) if isinstance(value, paddle.Tensor)]
            moved[0] += sum(value.element_size() * value.size for value in tensors if value.size >= entries)
            return result

        return counted

    for name in (*(f"__{name}__" for name in OPERATORS), "max", "sum", "exp", "astype"):
        monkeypatch.setattr(paddle.Tensor, name, watched(getattr(paddle.Tensor, name)))
    for name in ("concat", "masked_fill"):
        monkeypatch.setattr(paddle, name, watched(getattr(paddle, name)))
    return moved


def test_bytes_of_labels_and_sums_are_those_of_the_code(monkeypatch):
    """The loss's own code runs with the branches of a card, all its pairs in a tile each, of two ranks' labels."""
    count = 48
    ids = paddle.arange(count)
    present = dict.fromkeys(TEXT_VIEWS, ids >= 0)
    labels = Labels(ids, dict.fromkeys(TEXT_VIEWS, ids), present, ids)
    x, scale = normal(divide(count), 8).detach(), paddle.ones([1])
    with branches_of_a_card():
        for_labels = for_sums = 0
        for first, second in PAIRS:
            with monkeypatch.context() as patch:
                compared = Comparison(labels, labels, first, second, "by_id")
                moved = bytes_of_kernels(patch, count**2)
                (tile,) = compared.tiles(x, x, scale)
                for_labels += 2 * moved[0]  # forward, and again backward
                moved[0] = 0
                rows, columns = (CrossEntropy(sums_of(tile, axis), None) for axis in (1, 0))
                rows.gradient(tile, 1) + columns.gradient(tile, 0)
                for_sums += moved[0]
    assert for_labels / len(PAIRS) / count**2 == pytest.approx(Assumptions().label_bytes)
    assert for_sums / len(PAIRS) / count**2 == pytest.approx(Assumptions().softmax_bytes)


def test_sums_of_columns_go_around_the_ring_twice(measured):
    exact = Projection(measured, CARDS["a100"], Assumptions(latency=1e-12))
    without = {**measured, "wire": {**measured["wire"], "sums_per_sample": 0}}
    fewer = Projection(without, CARDS["a100"], Assumptions(latency=1e-12))
    sums = exact.embedding_time(768, 64, 32768) - fewer.embedding_time(768, 64, 32768)
    assert sums == pytest.approx(2 * 63 / 64 * 32768 * 8 * len(PAIRS) * 4 / (100e9 * 0.8))
    views = (4 + 4) * 768 * len(GATHERED) + 64
    assert fewer.embedding_time(768, 64, 32768) == pytest.approx(63 / 64 * 32768 * views / (100e9 * 0.8), rel=1e-6)
    assert GATHERED == ("caption", "tags", "image'", "caption'")


def test_labels_cost_what_the_cards_memory_moves(measured):
    fast = dataclasses.replace(CARDS["a100"], memory_rate=2 * CARDS["a100"].memory_rate)
    slow, twice = (Projection(measured, card).step("base", 64, 512) for card in (CARDS["a100"], fast))
    entries = len(PAIRS) * 512 * 64 * 512
    assert slow.time["labels"] == pytest.approx(entries * Assumptions().label_bytes / (2.0e12 * 0.8))
    assert twice.time["labels"] == pytest.approx(slow.time["labels"] / 2)
    products = 4 * 2 * 768 / (19.5e12 * 0.5)  # logits twice and two gradients
    moved = Assumptions().softmax_bytes / (2.0e12 * 0.8)
    assert slow.time["logits"] == pytest.approx(entries * (products + moved))
    assert twice.time["logits"] < slow.time["logits"] and twice.time["towers"] == slow.time["towers"]


def test_the_loss_holds_rows_and_columns_but_no_logits(monkeypatch):
    """Which is why memory counts a tile; after its backward pass there are the inputs' gradients alone."""
    monkeypatch.setattr(tiles, "CPU_TILE", 1 << 12)
    objective = ContrastiveObjective(ObjectiveConfig(pairs=[["image", "image'", 1.0]]))
    tower = {"width": 32, "depth": 1, "heads": 2}
    config = ModelConfig(image_tower=ImageTowerConfig(**tower), text_tower=TextTowerConfig(vocab_size=64, **tower))
    model, held = new_model(config, objective.groups), {}
    for count in (256, 512):
        share, place = divide(count), np.arange(count)
        embeds = {view: normal(share, 8) for view in objective.views}
        batch = Batch(pixels={}, tokens={}, image_ids=place, text_ids={}, present={}, index=place, where=[""] * count)
        before = allocated()
        parts = objective.loss(embeds, batch, model, share)
        held[count] = allocated() - before
        parts["loss"].backward()
        assert allocated() - before < 2 * count * 8 * 4 + 5000
    assert 0 < held[512] < 1.2 * 2 * held[256] and held[512] < 512**2 / 2


def test_scaling_stops_where_the_towers_lose_half(projection):
    cards, reason = stop(projection, "base", lambda cards: 512, 1)
    assert cards and "logits" in reason
    before, at = (projection.step("base", count, 512, 1) for count in (cards // 2, cards))
    assert before.fits and before.time["towers"] > before.seconds / 2
    assert not at.fits or at.time["towers"] < at.seconds / 2
    slow = dataclasses.replace(CARDS["h800"], memory_rate=1e9)
    labels = Projection(projection.measured, slow, Assumptions(softmax_bytes=1e-3))
    assert "labels" in stop(labels, "base", lambda cards: 512, 1)[1]
    assert stop(projection, "base", lambda cards: 64 if cards <= 16 else 0, 1)[0] is None
    assert "memory" in stop(projection, "base", lambda cards: 2**20, 1)[1]


def test_what_limits_batches_up_to_a_million_follows_from_the_numbers(projection, measured):
    text = large_batches.what_limits(projection, 1)
    step = projection.step("base", 4096, 256, 1)
    assert step.batch == large_batches.BATCHES[-1] == 2**20 and f"{step.memory['gathered'] / 1e9:.0f} GB (base)" in text
    small = dataclasses.replace(CARDS["a100"], memory=20e9, pairs_per_second=1)
    lacking = large_batches.what_limits(Projection(measured, small), 1)
    assert "large is limited at" in lacking and "most of it embeddings of all ranks" in lacking
    slow = large_batches.what_limits(Projection(measured, dataclasses.replace(small, memory=1e12)), 1)
    assert slow.count("is limited at none of these batches") == 4
    rate = dataclasses.replace(CARDS["a100"], memory_rate=1e10)
    assert "base is limited at 131,072 (logits" in large_batches.what_limits(Projection(measured, rate), 1)
    rows = large_batches.large_table(projection, 1).splitlines()[2:]
    assert len(rows) == 2 * 2 * 4 and all("**" in row for row in rows if "too much" in row)


def test_the_page_is_what_the_numbers_give(measured):
    """After a change of the model or of docs/scaling.json: tools/bench.py scale --write docs/scaling.md."""
    text = (DOCS / "scaling.md").read_text(encoding="utf-8")
    assert text == report.document(measured, Assumptions(), 512, 32768, 1, 1.5e9)
    for line in text.splitlines():
        assert len(line) <= 120 or line.startswith("|")
    faster = {"a100": dataclasses.replace(CARDS["a100"], pairs_per_second=700)}
    other = report.document(measured, Assumptions(), 512, 32768, 1, 1.5e9, faster)
    assert other != text and "| A100 80 GB | 700 | 86 TFLOP/s |" in other


def test_the_verb(tmp_path, capsys, measured):
    parser = Parser()
    scale.add_verb(parser.add_subparsers())

    def run(*words):
        args = parser.parse_args(["scale", "--measured", str(DOCS / "scaling.json"), *words])
        args.run(args)
        return capsys.readouterr().out

    shown = run("--card", "a100", "--pairs-per-second", "469", "--assume", "latency=0.001")
    assert shown.startswith("## A100 80 GB") and "H800" not in shown
    assert run("--write", str(tmp_path / "x.md")) == f"wrote {tmp_path / 'x.md'}\n"
    assert (tmp_path / "x.md").read_text(encoding="utf-8") == (DOCS / "scaling.md").read_text(encoding="utf-8")
    for words in (
        ["--card", "a10"],
        ["--pairs-per-second", "1"],
        ["--assume", "speed=2"],
        ["--assume", "latency=x"],
        ["--assume", "latency=-1"],
    ):
        with pytest.raises(ConfigError):
            run(*words)
    (tmp_path / "empty.json").write_text("{}")
    with pytest.raises(DataError, match="make one with --measure"):
        run("--measured", str(tmp_path / "empty.json"))


def test_the_host_alone_is_measured_anew_and_the_rest_is_kept(tmp_path, monkeypatch, measured):
    """Also where there was no host yet: `--measure host` is the one command after a change of the step."""
    path, known = tmp_path / "scaling.json", json.loads((DOCS / "scaling.json").read_text(encoding="utf-8"))
    path.write_text(json.dumps({key: value for key, value in known.items() if key != "host"}))
    parser = Parser()
    scale.add_verb(parser.add_subparsers())
    with pytest.raises(DataError, match="make one with --measure"):
        scale.run(parser.parse_args(["scale", "--measured", str(path)]))
    monkeypatch.setattr(scale, "measure_hosts", lambda say: {**known["host"], "call": 1.5})
    args = parser.parse_args(["scale", "--measured", str(path), "--measure", "host", "--write", str(tmp_path / "x.md")])
    scale.run(args)
    assert json.loads(path.read_text(encoding="utf-8")) == {**known, "host": {**known["host"], "call": 1.5}}
    assert "took 1.5 microseconds" in (tmp_path / "x.md").read_text(encoding="utf-8")


def test_the_ranks_part_is_measured_anew_and_the_rest_is_kept(tmp_path, monkeypatch):
    """Also where it is that of an older loss, which nothing else takes."""
    path, known = tmp_path / "scaling.json", json.loads((DOCS / "scaling.json").read_text(encoding="utf-8"))
    path.write_text(json.dumps({**known, "loss": {"held_per_pair": 32.0, "peak": 188.0}}))
    parser = Parser()
    scale.add_verb(parser.add_subparsers())
    with pytest.raises(DataError, match="make one with --measure"):
        scale.run(parser.parse_args(["scale", "--measured", str(path)]))
    new = {"wire": known["wire"], "loss": {**known["loss"], "line": 123.0}}
    monkeypatch.setattr(scale, "measure_two_ranks", lambda say: new)
    args = ["scale", "--measured", str(path), "--measure", "ranks", "--write", str(tmp_path / "x.md"), "--replace"]
    scale.run(parser.parse_args(args))
    assert json.loads(path.read_text(encoding="utf-8")) == {**known, **new}
    assert "123 bytes for each row" in (tmp_path / "x.md").read_text(encoding="utf-8").replace("\n", " ")


class Card(Device):
    """A card whose work takes its time when somebody waits for it: 5 seconds for what was started last."""

    clock = 0.0

    def synchronise(self):
        Card.clock += 5.0

    def tensors(self):
        return Memory(Card.clock, Card.clock)


def test_what_a_card_still_does_is_in_the_time_and_in_its_own_memory(monkeypatch):
    monkeypatch.setattr(view_costs, "current_device", lambda: Card("gpu"))
    monkeypatch.setattr(view_costs.time, "perf_counter", lambda: Card.clock)
    layer, value = paddle.nn.Linear(2, 2), paddle.ones([1, 2])
    assert view_costs.one_turn(layer, layer, value) == {"forward": 5.0, "backward": 5.0, "bytes": 5.0 * 2**20}
