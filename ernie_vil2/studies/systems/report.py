"""The page of all systems: how they were trained, what they reach, what that says, and what is known of each."""

import platform
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...files.atomic import atomic_file, reported
from ...files.marks import comment
from ...pages.markdown import filled, markdown, with_contents
from ...runtime import cpu_count
from ..runs.run import TEST_IMAGES
from .comparison import BASE, COMMAND, CONTROL, NAMES, QUEUE, Results, batches_of, systems_of
from .facts import FACTS, section
from .plan import BATCHES, MOMENTUM, MOMENTUM_BATCH, PAIRS, RATES, Outcome, Plan
from .tables import Towers, cost_table, difference_table, main_table, rate_of, run_table, search_table
from .towers import TOWERS
from .verdict import verdict

COUNTED = filled("""Times are taken in one process of one thread, in which the systems take turns on the same pictures
    and captions: the median of the ratios to CLIP, and the median of seconds. A system's own layers (and its
    temperatures) are counted beside its towers, of which BriVL and COOKIE leave the text tower's pooler unused; a
    momentum copy is no parameter, but it is in the memory. Memory is that of a process for each system and batch; *of
    it* is what steps need above the loaded process: one that takes 3 steps on one batch, without the cache of drawn
    scenes that a training fills. Times of steps leave out making the views; *a pair's views* is that, with the scene
    drawn before.""")
UNSAID = (
    "**Size.** Towers of width 64 and minutes of training, before and in the runs, on drawn scenes alone. What needs "
    "weights that know much and move slowly, as a queue does, may stand worse here than where it is used.",
    "**Start.** The towers know objects and captions of drawn scenes, from the two losses named above, of which "
    "ERNIE-ViL 2.0 has both among its own and COOKIE one like the second; layers beside the towers start at random, of "
    "which CLIP and ERNIE-ViL 2.0 have none.",
    "**Faithfulness.** What is compared is each system's objective and own layers on the same small ViT and text "
    "tower: no EfficientNet, no detector, no language model.",
    "**Captions.** Every scene has two: ERNIE-ViL 2.0 compares them with each other, COOKIE one with itself under "
    "another dropout mask, as its paper has it; CLIP and BriVL see one or the other. BriVL's texts are padded to 56 "
    "ids, those of the others to the longest of the batch, up to 64.",
    "**Labels.** In its runs ERNIE-ViL 2.0 also sees object tags, as a detector would give them; for the others they "
    "are in the image tower's start alone.",
    "**Equal pairs, not equal time.** A step of one system takes longer than one of another, which the costs say. "
    "What each would reach in the same time was not run.",
    "**Chance.** Seeds are few, so intervals are wide: what is within the spread may still be a difference. Of "
    "many intervals of 95 % one in twenty lies beside zero by chance. The rate was chosen with the first seed, whose "
    "run is in the table, and by retrieval alone. Intervals are over seeds on one test set: the noise of sampling that "
    "set is not in them.",
)


def write_document(path: str | Path, found: Outcome, costs: Mapping[str, Any], plan: Plan) -> None:
    """Write the page as Markdown. found: what a plan came to; costs: as `measured`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with reported(path), atomic_file(path) as handle:
        handle.write(document(found, costs, plan).encode("utf-8", "backslashreplace"))


def conditions(searched: Results, results: Results) -> str:
    """What all runs have in common, as a paragraph."""
    first = results[0]
    config, data = first["config"], first["config"]["data"]["train"]
    seeds, batches = sorted({row["seed"] for row in results}), batches_of(results)
    pairs, images = config["train"]["steps"] * config["train"]["batch_size"], f"{first['metrics']['num_images']:,}"
    steps = " or ".join(f"{pairs // batch} steps of {batch}" for batch in batches)
    rates = ", ".join(f"{rate:g}" for rate in sorted({row["rate"] for row in searched}))
    depth = first["metrics"]["map_depth"]
    depth = "over all images" if depth == "all" else f"at the first {int(depth):,} images (map@{depth})"
    return filled(f"""Written by `ernie-vil2 bench systems` from the numbers of its runs. The systems, in
        `configs/systems/`, have the same image tower and text tower, and their own layers and losses on top. Each sees
        the same {pairs:,} pairs ({steps}) of drawn scenes ([data.md](data.md)) with the same mild augmentation; of the
        captions {data.get("noise", 0):.0%} are incomplete and {data.get("wrong", 0):.0%} wrong, as on the web. Seeds
        {", ".join(map(str, seeds))}. For each system and batch the same rates ({rates}) were trained to the end with
        seed {seeds[0]}, and the one with the best mean recall on the validation split was taken; its run is at the same
        time that of seed {seeds[0]} in the table. What is measured: {images} scenes of the unseen split with clean
        captions, retrieval both ways; pairs of captions with a graded likeness, by Spearman and Pearson x 100; images
        by the colours and shapes that they share, by mean average precision x 100 {depth}
        ([benchmarks.md](benchmarks.md)).""")


def beginning(towers: Towers, results: Results) -> str:
    """What all runs start from, as a paragraph."""
    trained = {name: towers[name]["config"] for name in TOWERS}
    pairs = {name: run["train"]["steps"] * run["train"]["batch_size"] for name, run in trained.items()}
    losses = {name: " - ".join(run["objective"]["pairs"][0][:2]) for name, run in trained.items()}
    first = next(row for row in results if row["name"] == BASE)
    recall = next(record["mean_recall"] for record in first["log"] if record["kind"] == "valid")
    return filled(f"""Systems are used on towers that were trained before, and not with each other, so all runs start
        from the same two: an image tower out of a training of {losses["image"]} ({pairs["image"]:,} pairs) and a text
        tower out of one of {losses["text"]} ({pairs["text"]:,}), with clean captions and on scenes that no run sees
        (`configs/systems/towers/`). What they reach as they are is in the table, where a task needs one of them alone;
        together, as {NAMES[BASE]} begins, they have a mean recall of {recall:.1f} % on the validation split.""")


def losses(results: Results) -> str:
    """The pairs of views and the negatives of each system."""
    rows = []
    for name in systems_of(results, batches_of(results)[0]):
        objective = next(row["config"]["objective"] for row in results if row["name"] == name)
        pairs = ", ".join(f"{first} - {second} {weight:g}" for first, second, weight in objective["pairs"])
        negatives = objective["negatives"]
        kept = f"queue of {negatives['size']:,}" if negatives["kind"] == "queue" else negatives["kind"]
        rows.append([f"{NAMES[name]}, `configs/systems/{name}.yaml`", pairs, kept])
    return markdown(["system", "pairs of views and their weights", "negatives"], rows)


def momenta(results: Results) -> str:
    """The momentum of the copy that fills BriVL's queue at every batch."""
    found = {row["batch"]: row["config"]["objective"]["negatives"] for row in results if row["name"] == QUEUE}
    told = " and ".join(f"{found[batch]['momentum']:.4g} at batch {batch}" for batch in sorted(found))
    copy = f"{NAMES[QUEUE]}'s queue is filled by a copy"
    return filled(f"""{copy} whose momentum is equal in pairs, not in steps, as the queue is of equal length in pairs:
        {MOMENTUM:g} to the power of batch / {MOMENTUM_BATCH}, which is {told}. "{NAMES[CONTROL]}" is {NAMES[QUEUE]}
        with the batch as negatives and all else the same: the control of the queue, and no system of anybody's.""")


def edges(searched: Results, results: Results) -> str:
    """Which systems took a rate at the end of the search, so that a better one may lie beyond it."""
    rates = sorted({row["rate"] for row in searched})
    ends = {f"{rate:g}" for rate in (rates[0], rates[-1])}
    told = [
        f"{NAMES[name]} at batch {batch}"
        for batch in batches_of(results)
        for name in systems_of(results, batch)
        if rate_of(results, name, batch) in ends
    ]
    if not told:
        return "No system took a rate at an end of the search."
    return filled(f"At an end of the search, where a better rate may lie beyond it: {', '.join(told)}.")


def code_states(towers: Towers, searched: Results, results: Results, costs: Mapping[str, Any]) -> str:
    """A sentence where the runs and costs are of more than one state of the code, else nothing."""
    states = {row["code"] for row in (*towers.values(), *searched, *results)}
    if states == {costs["code"]}:
        return ""
    count = len(states | {costs["code"]})
    return (
        f" The runs and costs of this page are of {count} states of this package's code, which changed between them; "
        "for figures of one, repeat the command with another --output."
    )


def repeated(plan: Plan) -> str:
    """The command that makes the page again, with the options that differ from their defaults."""
    words = ["--seeds", *map(str, plan.seeds), "--jobs", str(cpu_count())]
    for option, values, default in (
        ("--pairs", (plan.pairs,), (PAIRS,)),
        ("--batches", plan.batches, BATCHES),
        ("--rates", plan.rates, RATES),
        ("--images", (plan.images,), (TEST_IMAGES,)),
    ):
        if values != default:
            words += [option, *map(str, values)]
    words += [word for name in plan.only for word in ("--only", name)]
    words += [word for override in plan.overrides for word in ("-o", override)]
    return f"ernie-vil2 bench systems {shlex.join(words)}"


def document(found: Outcome, costs: Mapping[str, Any], plan: Plan) -> str:
    """The Markdown text."""
    towers, searched, results, _ = found
    batches = batches_of(results)
    differences = "\n\n".join(f"At batch {batch}:\n\n{difference_table(results, batch)}" for batch in batches)
    measured = filled(
        f"Measured on {platform.machine()} with {cpu_count()} cores, one thread a run; minutes are those of a run "
        f"beside others.{code_states(towers, searched, results, costs)}"
    )
    unsaid = "\n".join(filled(text, "- ", "  ") for text in UNSAID)
    facts = "\n\n".join(section(name, NAMES[name]) for name in FACTS)
    page = f"""# Which system?

{conditions(searched, results)}

{beginning(towers, results)}

## What was found

*Beyond the spread* says that the 95 % interval of a mean difference (Student's t over the seeds, runs of the same seed
compared) lies on one side of zero. The lead of the best over the next is descriptive, as the pair is picked after
seeing the means.

{verdict(towers, results, costs)}

## The table

Mean ± standard deviation over the seeds. *Step* is the time of a training step over that of CLIP at the same batch,
*MiB* the peak of a training process. Below are the towers that all start from, and baselines that know colours or words
alone; that of retrieval is fitted on scenes with the same noisy captions.

{main_table(towers, results, costs)}

## Differences

In points, with the 95 % interval; in bold where that lies on one side of zero.

{differences}

## What each system optimises

{losses(results)}

{momenta(results)}

## The search

Mean recall on the validation split after the last step, in percent, for every rate.

{search_table(searched, results)}

{edges(searched, results)}

## Costs

{COUNTED}

{cost_table(costs, batches)}

## What this does not say

{unsaid}

## What is known of each

{facts}

## Every run

{run_table(results)}

{measured}

Repeat it with:

```bash
# needs: hours
{repeated(plan)}
```

{comment(COMMAND)}"""
    return with_contents(page)
