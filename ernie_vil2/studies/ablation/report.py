"""What the ablation of views found: tables, curves, sentences, and the page of all of them."""

import platform
import statistics
from pathlib import Path

from ...files.atomic import atomic_file, reported
from ...files.marks import comment
from ...pages.charts import Chart, Curve, write_svg
from ...pages.markdown import filled, markdown
from ...runtime import cpu_count
from ..runs.spread import span, spread
from .comparison import COMMAND, NAMES, Results, differences, figures, verdict

FIGURES = {"t2i_r1": "T2I R@1", "i2t_r1": "I2T R@1", "mean_recall": "mean recall"}


def summary_table(results: Results) -> str:
    """Mean ± standard deviation of every configuration."""
    rows = []
    for name, title in NAMES.items():
        minutes = [result["minutes"] for result in results if result["name"] == name]
        rows.append(
            [
                title,
                *(spread(figures(results, name, key).values()) for key in FIGURES),
                len(minutes),
                f"{statistics.mean(minutes):.1f}" if minutes else "–",
            ]
        )
    return markdown(["views", *(f"{title}, %" for title in FIGURES.values()), "seeds", "minutes a run"], rows)


def difference_table(results: Results) -> str:
    """What each configuration adds to image-text, seed by seed."""
    rows = []
    for name, title in list(NAMES.items())[1:]:
        changes = differences(results, name, "mean_recall")
        rows.append(
            [
                title,
                *(spread(differences(results, name, key), "+") for key in FIGURES),
                span(changes),
                verdict(changes),
            ]
        )
    head = ["views", *(f"{title}, points" for title in FIGURES.values()), "95 % of mean recall", "finding"]
    return markdown(head, rows)


def seed_table(results: Results) -> str:
    """Every run."""
    rows = [
        [
            f"{NAMES[result['name']]}, seed {result['seed']}",
            *(f"{result['metrics'][key]:.2f}" for key in FIGURES),
            f"{result['minutes']:.1f}",
        ]
        for result in results
    ]
    return markdown(["run", *(f"{title}, %" for title in FIGURES.values()), "minutes"], rows)


def findings(results: Results) -> str:
    """A sentence per configuration, and one on the paper's claim."""
    lines, found = [], {}
    for name, title in list(NAMES.items())[1:]:
        changes = differences(results, name, "mean_recall")
        found[name] = verdict(changes)
        first = differences(results, name, "t2i_r1"), differences(results, name, "i2t_r1")
        lines.append(
            filled(
                f"**{title}**: {spread(changes, '+')} points of mean recall over image-text (R@1: text to image "
                f"{spread(first[0], '+')}, image to text {spread(first[1], '+')}): {found[name]}.",
                "- ",
                "  ",
            )
        )
    single = [NAMES[name] for name in ("image_image", "text_text", "tags") if found[name] == "helps"]
    count = {0: "none of the three views", 1: "one of the three views", 2: "two of the three views", 3: "every view"}
    named = f" ({', '.join(single)})" if 0 < len(single) < 3 else ""
    together = {"helps": "all of them together do", "hurts": "all of them together hurt"}.get(
        found["all"], "all of them together make no difference beyond the spread"
    )
    verb = "help by themselves" if len(single) == 2 else "helps by itself"
    if len({result["seed"] for result in results}) < 2:
        here = "One seed cannot say whether that is so here."
    else:
        beyond = "" if single else " beyond the spread"
        here = f"Here {count[len(single)]}{named} {verb}{beyond}, and {together}."
    return "\n".join([*lines, "", filled(f"The paper's claim is that each view helps on noisy pairs. {here}")])


def curves(results: Results, kind: str, key: str) -> list[Curve]:
    """The mean over seeds of a logged value, with a band from the least to the greatest."""
    drawn = []
    for colour, (name, title) in enumerate(NAMES.items()):
        logs = [result["log"] for result in results if result["name"] == name]
        values = {}
        for record in (record for log in logs for record in log if record["kind"] == kind):
            if isinstance(record.get(key), (int, float)):
                values.setdefault(record["step"], []).append(record[key])
        drawn.append(
            Curve(
                title,
                [(step, statistics.mean(found)) for step, found in sorted(values.items())],
                colour,
                marked=kind == "valid",
                band=tuple((step, min(found), max(found)) for step, found in sorted(values.items())),
            )
        )
    return drawn


def write_document(path: str | Path, results: Results) -> None:
    """Write the comparison of finished runs as Markdown, and its curves as an SVG file beside it."""
    path = Path(path)
    chart_path = path.with_suffix(".svg")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_svg(
        chart_path,
        [
            Chart("Mean recall on clean validation captions", "recall, %", curves(results, "valid", "mean_recall")),
            Chart("Image-caption loss of the training batches", "loss", curves(results, "train", "image-caption")),
        ],
        comment(COMMAND),
    )
    with reported(path), atomic_file(path) as handle:
        handle.write(document(results, chart_path.name).encode("utf-8", "backslashreplace"))


def document(results: Results, chart_name: str) -> str:
    """The Markdown text."""
    config, metrics = results[0]["config"], results[0]["metrics"]
    train, data = config["train"], config["data"]["train"]
    seeds = sorted({result["seed"] for result in results})
    pairs = {result["name"]: result["config"]["objective"]["pairs"] for result in results}
    views = markdown(
        ["configuration", "pairs of views and their weights"],
        [
            [f"`{name}`", ", ".join(f"{first} - {second} {weight:g}" for first, second, weight in pairs[name])]
            for name in NAMES
        ],
    )
    noise, wrong = data.get("noise", 0), data.get("wrong", 0)
    intro = f"""Written by `ernie-vil2 bench ablation` from the numbers of its runs. Five configurations, in
        `configs/ablation/`, differ in their pairs of views and in nothing else. Each is trained with
        seed{"s" * (len(seeds) > 1)} {", ".join(map(str, seeds))} on drawn scenes ([data.md](data.md)) whose captions
        are noisy as on the web: {noise:.0%} are incomplete (objects, colours, sizes or places left out) and
        {wrong:.0%} are wrong (half of them tell of another scene, half are file names and phrases). Tags come as a
        detector gives them: one in ten objects missed, about one in ten tags wrong. All configurations see the same
        {train["steps"] * train["batch_size"]:,} pairs in {train["steps"]} steps of {train["batch_size"]}, with the same
        mild augmentation. What is measured: {metrics["num_images"]:,} scenes of the unseen split with
        {metrics["num_texts"]:,} clean captions, standard protocol ([benchmarks.md](benchmarks.md))."""
    return f"""# Does each view help on noisy pairs?

{filled(intro)}

{views}

## Result

Mean ± standard deviation over the seeds.

{summary_table(results)}

## Against image-text

Differences between runs of the same seed, mean ± standard deviation. *Helps* and *hurts* say that the 95 % interval of
the mean difference in mean recall (Student's t over the seeds) lies on one side of zero.

{difference_table(results)}

## What was found

{findings(results)}

These are small models on drawn scenes, trained for minutes: the result says how the objective behaves on such noise,
not what it reaches on photographs. Steps are equal, time is not: more views cost more time a step (minutes above).

## Curves

Lines are means over the seeds, bands go from the least to the greatest of them.

![Mean recall and loss over the training steps]({chart_name})

## Every run

{seed_table(results)}

Measured on {platform.machine()} with {cpu_count()} cores, one thread a run. Repeat it with:

```bash
# needs: hours
ernie-vil2 bench ablation --seeds {" ".join(map(str, seeds))} --jobs {cpu_count()}
```

{comment(COMMAND)}"""
