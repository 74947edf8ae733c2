"""Tables of the page of systems: what each reaches, differences by seed, the search, and the costs."""

import statistics
from collections.abc import Mapping
from typing import Any

from ...pages.markdown import markdown
from ..runs.spread import side, span, spread
from .comparison import METRICS, NAMES, TASKS, Results, batches_of, differences, figures, systems_of
from .plan import validation

BASELINES = {
    "fitted colours and words": {"t2i_r1": "t2i_r1", "i2t_r1": "i2t_r1", "mean_recall": "mean_recall"},
    "words alone": {"spearman": "words_spearman", "pearson": "words_pearson"},
    "colours alone": {"map": "colours_map"},
}
"""{baseline: {metric: where its figure stands, in the costs for the first and in any run for the others}}"""
STARTS = {"text": ("spearman", "pearson"), "image": ("map",)}
"""{tower: the metrics of a task that needs no other}"""
Towers = Mapping[str, Mapping[str, Any]]
"""{tower: the result of the training that all runs start from}"""


def baselines(results: Results, costs: Mapping[str, Any]) -> dict[str, tuple[str, float]]:
    """{metric: (baseline, value)} of what is reached without a model."""
    held = {
        **costs["baseline"],
        **{key: results[0]["metrics"].get(key) for key in results[0]["metrics"] if "s_" in key},
    }
    return {metric: (name, held[key]) for name, keys in BASELINES.items() for metric, key in keys.items()}


def starts(towers: Towers) -> dict[str, tuple[str, float]]:
    """{metric: (tower, value)} of the towers that all runs start from."""
    return {key: (tower, towers[tower]["metrics"][key]) for tower, keys in STARTS.items() for key in keys}


def main_table(towers: Towers, results: Results, costs: Mapping[str, Any]) -> str:
    """Every system at every batch, mean ± standard deviation over the seeds, what they start from, and what needs no
    model: the table that a readme can show by itself."""
    rows = []
    for batch in batches_of(results):
        for name in systems_of(results, batch):
            reached = (spread(figures(results, name, batch, key).values()) for key in METRICS)
            time = f"{costs['times'][name][str(batch)]['ratio']:.2f} x"
            memory = f"{costs['memory'][name][str(batch)]['most']:,.0f}"
            rows.append([NAMES[name], batch, *reached, time, memory, f"{costs['parameters'][name]['all']:,}"])
    known, begun = baselines(results, costs), starts(towers)
    rows.append(floor_row("towers at the start", {key: value for key, (_, value) in begun.items()}))
    for name, keys in BASELINES.items():
        rows.append(floor_row(name, {key: known[key][1] for key in keys}))
    head = ["system", "batch", *(f"{title}{', %' if '_' in key else ''}" for key, title in METRICS.items())]
    return markdown([*head, "step", "MiB", "parameters"], rows)


def floor_row(name: str, held: Mapping[str, float]) -> list[str]:
    """A row of the main table that is no system's: figures, and a dash for what there is none of."""
    return [name, "–", *(f"{held[key]:.2f}" if key in held else "–" for key in METRICS), "–", "–", "–"]


def difference_table(results: Results, batch: int) -> str:
    """All pairs of systems in the headline metric of each task; those beyond the spread are in bold."""
    names, rows = systems_of(results, batch), []
    for place, other in enumerate(names):
        for name in names[place + 1 :]:
            cells = []
            for key in TASKS:
                changes = differences(results, name, other, batch, key)
                told = f"{statistics.mean(changes):+.2f} ({span(changes)})"
                cells.append(f"**{told}**" if side(changes) else told)
            rows.append([f"{NAMES[name]} - {NAMES[other]}", *cells])
    return markdown(["difference", *(METRICS[key] for key in TASKS)], rows)


def search_table(searched: Results, results: Results) -> str:
    """Mean recall on the validation split at every rate, and the rate that the table has."""
    rates = sorted({row["rate"] for row in searched})
    rows = []
    for batch in batches_of(results):
        for name in systems_of(results, batch):
            found = {
                row["rate"]: "diverged" if row.get("diverged") else f"{validation(row):.2f}"
                for row in searched
                if (row["name"], row["batch"]) == (name, batch)
            }
            rows.append([NAMES[name], batch, *(found[rate] for rate in rates), rate_of(results, name, batch)])
    return markdown(["system", "batch", *(f"{rate:g}" for rate in rates), "chosen"], rows)


def rate_of(results: Results, name: str, batch: int) -> str:
    """The learning rate that a system has at a batch."""
    return f"{next(row['rate'] for row in results if (row['name'], row['batch']) == (name, batch)):g}"


def cost_table(costs: Mapping[str, Any], batches: list[int]) -> str:
    """Parameters by part, times over CLIP's, and memory."""
    rows = []
    for name, parts in costs["parameters"].items():
        times, memory = costs["times"][name], costs["memory"][name]
        steps = (f"{times[str(batch)]['ratio']:.2f} x, {times[str(batch)]['seconds']:.2f} s" for batch in batches)
        encoding = (
            f"{times[what]['ratio']:.2f} x, {1e3 * times[what]['seconds']:.1f} ms"
            for what in ("images", "texts", "views")
        )
        peaks = (
            f"{memory[str(batch)]['most']:,.0f}, {memory[str(batch)]['most'] - memory[str(batch)]['loaded']:,.0f} of it"
            for batch in batches
        )
        rows.append(
            [NAMES[name], *(f"{parts[part]:,}" for part in ("towers", "own", "all")), *steps, *encoding, *peaks]
        )
    head = ["system", "in the towers", "beside them", "parameters", *(f"step of {batch}" for batch in batches)]
    return markdown([*head, "an image", "a text", "a pair's views", *(f"MiB at {batch}" for batch in batches)], rows)


def run_table(results: Results) -> str:
    """Every run of the table."""
    rows = [
        [
            f"{NAMES[row['name']]}, batch {row['batch']}, seed {row['seed']}",
            f"{row['rate']:g}",
            *(f"{row['metrics'][key]:.2f}" for key in METRICS),
            f"{row['minutes']:.1f}",
        ]
        for row in results
    ]
    return markdown(["run", "rate", *METRICS.values(), "minutes"], rows)
