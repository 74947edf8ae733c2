"""The page of `make demo`: what was trained, what it reaches on unseen scenes, its curves, and what it finds."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from ...data.sources.scenes.scene import held_out
from ...data.sources.scenes.words import COLOURS, SHAPES, SIZES
from ...evaluation.metrics.ranks import KS
from ...files.atomic import atomic_file, reported
from ...files.marks import comment
from ...pages.charts import COLOUR_COUNT, DASHES, Chart, Curve, figure, points
from ...pages.html import spoken, template
from .result_cards import cards, image_query, number, text_query

DIRECTIONS = {"t2i": "Text to image", "i2t": "Image to text"}
LANGUAGES = {"zh": "Chinese", "en": "English"}


@dataclass
class DemoReport:
    """What the page shows.

    facts: (name, value) pairs. train_log, valid_log: records of a run, {step, ...}; of the former `loss` and every part
    named view-view is drawn. result, baseline: `retrieval_metrics` on the unseen split. chance: R@1 of a random order
    in percent. required: least percentages by key of `result`.
    gallery: {query, images: uint8 RGB [H, W, 3] each, right, scores, rank}, best first, where `rank` is the rank of the
    right image among all, 1 is best. image_gallery: {image: uint8 RGB [H, W, 3], texts, right, scores}, best first.
    """

    title: str
    facts: list[tuple[str, str]]
    train_log: list[dict[str, Any]]
    valid_log: list[dict[str, Any]]
    result: dict[str, float]
    baseline: dict[str, float]
    chance: float
    required: dict[str, float]
    gallery: list[dict[str, Any]] = field(default_factory=list)
    image_gallery: list[dict[str, Any]] = field(default_factory=list)
    languages: tuple[str, ...] = ("zh",)


def write_report(path: str | Path, report: DemoReport) -> None:
    """Write the DemoReport as one HTML file that needs nothing else; no half file is ever seen.

    Raises CheckpointError when it cannot be written, ValueError when a gallery's lists differ in length or a rank is 0.
    """
    images, texts = (report.result.get(key) for key in ("num_images", "num_texts"))
    page = template("demo.html").substitute(
        title=escape(report.title),
        intro=intro(report),
        verdict=verdict(report),
        facts="\n".join(f"<div><dt>{spoken(name)}</dt><dd>{spoken(value)}</dd></div>" for name, value in report.facts),
        size=f"{images:,} images and {texts:,} captions, standard protocol." if images and texts else "",
        table=table(report),
        checks=baseline_checks(report),
        unseen=unseen(),
        loss_chart=figure(Chart("Loss of the training batches", "loss", loss_curves(report.train_log))),
        recall_chart=figure(
            Chart("Recall on the validation split", "recall, %", recall_curves(report.valid_log), highest=100)
        ),
        gallery=cards("images", "a frame", report.gallery, text_query),
        image_gallery=cards("captions", "a bar", report.image_gallery, image_query),
    )
    path = Path(path)
    with reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as handle:
            handle.write((page + comment("demo")).encode("utf-8", "replace"))


def judged(met: bool, text: str) -> str:
    """Text behind a tick or a cross."""
    return f'<span class="{"met" if met else "missed"}">{"✓" if met else "✗"} {text}</span>'


def reaches(report: DemoReport, key: str) -> bool:
    """Whether a required value is reached."""
    return report.result.get(key, math.nan) >= report.required[key]


def intro(report: DemoReport) -> str:
    """Two sentences on what was trained."""
    languages = " and ".join(LANGUAGES.get(language, language) for language in report.languages)
    parts = ", ".join(curve.label for curve in loss_curves(report.train_log)[1:])
    return (
        "A small ERNIE-ViL 2.0, a vision transformer for images beside a transformer for texts, was trained from random"
        f" weights on drawn scenes with {escape(languages)} captions. Its objective pulls together the views of each"
        " scene" + (f" ({escape(parts)})" if parts else "") + " and pushes apart those of different scenes."
    )


def verdict(report: DemoReport) -> str:
    """How many of the required values are reached."""
    if not report.required:
        return ""
    met, total = sum(reaches(report, key) for key in report.required), len(report.required)
    text = f"{met} of {total} required values reached"
    return f'<p class="verdict">{judged(met == total, text)}</p>'


def table(report: DemoReport) -> str:
    """Recalls of both directions beside the baseline, chance and what is required."""
    rows = []
    for direction, name in DIRECTIONS.items():
        rows.append(f'<tr><th colspan="5" scope="rowgroup">{name} ({direction.upper()})</th></tr>')
        for k in KS:
            key = f"{direction}_r{k}"
            model, baseline = number(report.result.get(key)), number(report.baseline.get(key))
            wanted = judged(reaches(report, key), f"≥ {report.required[key]:g}") if key in report.required else ""
            rows.append(row(f"R@{k}", model, baseline, number(min(k * report.chance, 100)), wanted))
        ranks = [values.get(f"{direction}_median_rank") for values in (report.result, report.baseline)]
        rows.append(row("median rank", *(number(rank, "{:g}".format) for rank in ranks), "", ""))
    head = "".join(f'<th scope="col">{name}</th>' for name in ("", "model", "colour baseline", "chance", "required"))
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody>\n</table>"


def row(name: str, model: str, *others: str) -> str:
    """A line of the table."""
    cells = "".join(f"<td>{cell}</td>" for cell in others)
    return f'<tr><th scope="row">{name}</th><td class="model">{model}</td>{cells}</tr>'


def baseline_checks(report: DemoReport) -> str:
    """Whether the baseline is worth its name and the data needs more than it knows, by the worse direction of each."""
    keys = [f"{direction}_r1" for direction in DIRECTIONS]
    pairs = [(report.baseline.get(key, math.nan), report.result.get(key, math.nan)) for key in keys]
    if not report.chance > 0 or not all(math.isfinite(known) and learnt > 0 for known, learnt in pairs):
        return ""
    over_chance = min(known for known, _ in pairs) / report.chance
    share = max(known / learnt for known, learnt in pairs)
    lines = (
        judged(over_chance >= 10, f"The baseline's R@1 is {over_chance:.1f} times chance: at least 10 times is asked."),
        judged(share < 0.5, f"The baseline's R@1 is {share * 100:.1f} % of the model's: less than half is asked."),
    )
    return '<ul class="checks">\n' + "\n".join(f"<li>{line}</li>" for line in lines) + "\n</ul>"


def unseen() -> str:
    """What the test scenes hold that no training scene holds."""
    everything = list(itertools.product(SIZES, COLOURS, SHAPES))
    kept = [(size, colour, shape) for size, colour, shape in everything if held_out(shape, colour, size)]
    words = (
        f"{spoken(SIZES[size][0][0] + COLOURS[colour][0][0] + SHAPES[shape][0][0])} ({size} {colour} {shape})"
        for size, colour, shape in kept
    )
    return (
        f"<p>Of the {len(everything)} combinations of size, colour and shape, {len(kept)} never occur in a training or"
        " validation scene, and every scene of the unseen split has at least one of them. The model has met each size,"
        f" colour and shape, but never these three together:</p>\n<p>{', '.join(words)}.</p>"
    )


def loss_curves(log: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """The total and every part of the objective, a part being named by its two views."""
    names = dict.fromkeys(key for record in log for key in record if key != "loss" and "-" in key)
    return [
        Curve(name, points(log, name), index and 1 + (index - 1) % (COLOUR_COUNT - 1), index % len(DASHES))
        for index, name in enumerate(["loss", *names])
    ]


def recall_curves(log: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """R@1, R@5 and R@10 of both directions: a colour for each K, a dash for each direction."""
    return [
        Curve(f"{name.upper()} R@{k}", points(log, f"{name}_r{k}"), 1 + index, dash, True)
        for dash, name in enumerate(DIRECTIONS)
        for index, k in enumerate(KS)
    ]
