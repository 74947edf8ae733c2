"""Five lines on what would go wrong in a run: data, first loss, one batch learnt by heart, loader, memory and time."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...config.run import QueueNegatives, RunConfig
from ...data.check.check import check
from ...data.images.limits import limits_of
from ...data.sources.composite import SelectedRows
from ...data.sources.usable import too_many_bad
from ...device import current_device
from ...files.leftovers import scratch_folder
from ...keys import generator
from ...messages import plain
from ...objectives.views import group_of
from ...runtime import cpu_count
from ..distributed import Ranks
from ..log.run_log import duration, memory, memory_name
from ..optimization.freeze import check_locked
from ..trainer import Trainer
from . import trial
from .rates import HIGHER, LOWER, try_rates
from .saving import Saving, measured_saving
from .trial import LOADER_SECONDS, Learning, Loading

ROWS = 512
FEWEST_STEPS = 12
LOSS_TOLERANCE = 0.6
MOST_TRUNCATED, MOST_REPEATED = 10.0, 10.0
BYTES_PER_PARAMETER = 16
"""Of fp32: the weight, its gradient and two moments."""
BYTES_OF_COPY = 4
"""Of fp32: a parameter of the copy that encodes keys, or a value of a queue."""


@dataclass
class Line:
    """What was found on one subject, as a sentence; `ok` is False when the run should not be started like this."""

    subject: str
    ok: bool
    text: str

    def __str__(self):
        return f"{'ok ' if self.ok else 'BAD'} {self.subject}: {self.text}"


def report(lines: list[Line]) -> str:
    """The lines as text, for a terminal."""
    return "\n".join(plain(str(line)) for line in lines)


def failed(lines: list[Line]) -> int:
    """Exit status: 1 when a line is bad."""
    return int(not all(line.ok for line in lines))


def diagnose(config: RunConfig, say: Callable[[str], object] = lambda text: None) -> list[Line]:
    """Five Lines for a RunConfig. Nothing is written but in a temporary folder; takes a minute or a few, which `say`
    is told at the start, and again when a step was timed.

    Training is tried on one batch of at most 32 pairs on a CPU and 256 on a GPU, in this process alone, at the peak
    learning rate and, where that does not learn it, at others. Raises what Trainer raises for what cannot work at all.
    """
    say(
        f"a minute or two, at most about {(LOADER_SECONDS + 2 * trial.PATIENCE) / 60:.0f}: batches are made, then up "
        f"to {trial.STEPS} steps are taken on one of them"
    )
    before = memory()
    with scratch_folder("doctor") as folder:
        trainer = Trainer(trial.trial(config, folder / "run"), ranks=Ranks())
        try:
            if config.data.cache_locked:
                check_locked(trainer.rig.model, trainer.rig.freezer)
            loader = trial.timed_batches(trainer)
            learning, reading = Learning(trainer, loader.batch), min(ROWS, len(trainer.source)) / loader.rate
            learning.run(timed=lambda left: say(f"about {duration(left + reading)} (h:mm:ss) more"))
            after = memory()  # of these steps alone: other rates are tried with a second model
            subjects = [data_line(trainer, config), first_loss_line(trainer, learning)]
            tried = other_rates(config, learning, folder, say)
            return [
                *subjects,
                learning_line(learning, config, tried),
                *(measured_lines(loader, learning, config, before, after) if learning.seconds else unmeasured_lines()),
            ]
        finally:
            trainer.close()


def other_rates(
    config: RunConfig, learning: Learning, folder: Path, say: Callable[[str], object]
) -> list[tuple[float, int | None]]:
    """What `try_rates` finds where the run's own rate did not learn the batch in steps enough to say so."""
    if learning.error or len(learning.losses) < FEWEST_STEPS or learning.learnt() or learning.hopeless():
        return []
    seconds = trial.PATIENCE / 2
    say(f"not learnt at lr {config.optimizer.lr:g}: two other rates are tried, {seconds:.0f} s each at most")
    return try_rates(config, learning, folder, LOWER if learning.leapt() else HIGHER, seconds)


def data_line(trainer: Trainer, config: RunConfig) -> Line:
    """Bad rows, repeated pairs and truncated texts in a sample of the training source."""
    source, wanted = trainer.source, config.train.batch_size
    drawn = generator(config.seed, "doctor").choice(len(source), min(ROWS, len(source)), replace=False)
    found = check(
        SelectedRows(source, np.sort(drawn)),
        trainer.maker.tokenizer,
        profile=config.model.pixels,
        limits=limits_of(config.data.damaged),
    )
    bad, repeated = 100 * found.bad / found.checked, 100 * found.same_pair.count / max(found.texts, 1)
    text = (
        f"{len(source):,} samples; of {found.checked:,} looked at, {bad:.1f} % are bad, {repeated:.1f} % of the pairs "
        f"repeat another, {found.truncation_rate:.1f} % of the texts are cut at {found.max_length} tokens"
    )
    wrong = []
    if len(source) < wanted:
        wrong.append(f"there are fewer samples than train.batch_size {wanted}: lower it")
    if too_many_bad(found.bad * len(source) / found.checked, len(source), config.data.max_bad):
        first = found.bad_rows[0]
        wrong.append(f"more are bad than data.max_bad allows, {first.where} for example: {first.reason}; {first.fix}")
    if repeated > MOST_REPEATED:
        wrong.append("remove repeated pairs: they are learnt by heart")
    if found.truncation_rate > MOST_TRUNCATED:
        wrong.append("raise model.max_length: what is cut is never learnt")
    if found.one_image_many_ids.count:
        text += f", {found.one_image_many_ids.count} images have several ids and so repel themselves"
    return Line("data", not wrong, "; ".join([text, *wrong]))


def first_loss_line(trainer: Trainer, learning: Learning) -> Line:
    """The first loss against ln(B): towers that know nothing must guess, and those that know something do better."""
    if not learning.losses:
        return Line("first loss", False, f"there is none: {learning.error}")
    loss, config = learning.losses[0], trainer.config
    text = f"{loss:.3f} on {len(learning.batch)} pairs"
    if config.objective.loss != "infonce":
        text += f"; ln(B) says nothing about the {config.objective.loss} loss"
        return Line("first loss", math.isfinite(loss), text)
    (expected, _), factor = learning.expected(), learning.factor
    times, tolerance = f"{factor:g} x " if factor != 1 else "", factor * LOSS_TOLERANCE
    text += f", where guessing gives {times}ln(B) = {expected:.3f}"
    if not loss < expected + tolerance:
        hint = "the towers disagree more than by chance; check init, the pixel profile and the vocabulary"
        return Line("first loss", False, f"{text}: {hint}")
    leaks = [
        f"{first}-{second}"
        for (first, second), (guess, _) in learning.bounds().items()
        if group_of(first, second) == "mm" and learning.first[f"{first}-{second}"] < guess - tolerance
    ]
    if leaks and not (config.init.text or config.init.image):
        hint = f"{', '.join(leaks)} is known before anything was learnt; the views leak into each other"
        return Line("first loss", False, f"{text}: {hint}")
    return Line("first loss", True, text)


def learning_line(learning: Learning, config: RunConfig, tried: Sequence[tuple[float, int | None]] = ()) -> Line:
    """Whether one batch is learnt by heart at the run's rate, or at others that were tried, and whether there is
    anything in it to learn."""
    reason = learning.hopeless()
    if reason:
        return Line("one batch", False, reason)
    if learning.error:
        return Line("one batch", False, f"stopped after {len(learning.losses)} steps: {learning.error}")
    first, last, steps = learning.losses[0], min(learning.losses[-3:]), len(learning.losses)
    text = f"the loss went from {first:.3f} to {last:.3f} in {steps} steps on one batch at lr {config.optimizer.lr:g}"
    done = learning.learnt()
    if done is not None:
        share = f"{100 * (1 - trial.LEARNT):.0f} % of what can be learnt of it took {done}"
        return Line("one batch", True, f"{text}, {share}: a rate that works, as far as one batch tells")
    if steps < FEWEST_STEPS:
        return Line("one batch", True, f"{text}: there was time for too few steps to say more")
    if learning.leapt():
        finding, hint = "it does not learn", "lower optimizer.lr"
    else:
        finding, hint = "that is slow", "freeze less, or raise optimizer.lr"
    better = [(rate, done) for rate, done in tried if done is not None]
    if better:
        hint += f", to {better[0][0]:g} for example, which learnt it in {better[0][1]} steps"
    elif tried:
        hint += f" further than to {' and '.join(f'{rate:g}' for rate, _ in tried)}, which did not learn it either"
    return Line("one batch", False, f"{text}: {finding}; {hint}")


def measured_lines(
    loader: Loading, learning: Learning, config: RunConfig, before: dict[str, float], after: dict[str, float]
) -> list[Line]:
    """The lines that need the speed of a step; before, after: `memory()` before and after its steps."""
    saving = measured_saving(learning.trainer, learning)
    kept = saving if config.data.cache_locked else None
    lines = [loader_line(loader, learning, config, kept), cost_line(loader, learning, config, before, after)]
    if saving is not None:
        lines[1].text += f"; {saving_clause(saving, config, loader, learning)}"
    return lines


def saving_clause(saving: Saving, config: RunConfig, loader: Loading, learning: Learning) -> str:
    """What data.cache_locked saves, or would save."""
    kept = duration(saving.seconds(config, len(learning.trainer.source), loader))
    rates = f"steps of {saving.rate:,.1f} instead of {learning.rate:,.1f} pairs/s"
    if config.data.cache_locked:
        return f"that is without data.cache_locked; with it, as configured, about {kept}, by {rates}"
    return f"about {kept} with -o data.cache_locked=true, which encodes each image once: {rates}"


def unmeasured_lines() -> list[Line]:
    """What can be said of speed, memory and time when not one step could be made."""
    return [Line(subject, False, "not measured, as no step could be made") for subject in ("loader", "cost")]


def loader_line(loader: Loading, learning: Learning, config: RunConfig, kept: Saving | None = None) -> Line:
    """Whether pictures are decoded as fast as a step uses them; `kept` where they are not decoded again."""
    if kept is not None:
        text = f"a step takes {kept.rate:,.1f} pairs/s, for which images are read and not decoded"
        return Line("loader", True, f"{text}; before the first step, a process decodes {loader.rate:,.1f} a second")
    needed, workers, cores = math.ceil(learning.rate / loader.rate), config.data.workers, cpu_count()
    text = (
        f"a step takes {learning.rate:,.1f} pairs/s and a loader process makes {loader.rate:,.1f}, "
        f"so {needed} would keep up, and data.workers is {workers}"
    )
    if workers >= needed:
        return Line("loader", True, f"{text}: pictures are ready before a step needs them")
    if needed > cores:
        hint = f"here are {cores} cores: take smaller images on disk, or more cores"
        return Line("loader", False, f"{text}: a step has to wait for pictures; {hint}")
    if not workers and learning.rate < 0.1 * loader.rate:
        return Line("loader", True, f"{text}: batches are made between the steps and cost little")
    return Line("loader", False, f"{text}: a step has to wait for pictures; set data.workers: {needed}")


def cost_line(
    loader: Loading, learning: Learning, config: RunConfig, before: dict[str, float], after: dict[str, float]
) -> Line:
    """Memory and time of the whole run in one process; before, after: `memory()` before and after its steps."""
    train, device = config.train, current_device()
    hours = train.steps * train.batch_size / min(learning.rate, loader.rate * max(config.data.workers, 1))
    name = memory_name(device)
    rig, negatives = learning.trainer.rig, config.objective.negatives
    fixed = before[f"{name}_mb"] + BYTES_PER_PARAMETER * rig.parameter_count / 2**20
    of_pair = max(after[f"{name}_peak_mb"] - fixed, 0.0) / len(learning.batch)
    apart = "validation"
    if isinstance(negatives, QueueNegatives):
        apart += " and the pass that encodes keys"
        values = len(rig.system.views) * negatives.size * config.model.embed_dims()[0]
        rounded = 2 * rig.parameter_count if train.amp_level == "O2" and train.precision != "fp32" else 0
        fixed += (BYTES_OF_COPY * (rig.parameter_count + values) + rounded) / 2**20
    needed, there = fixed + of_pair * (train.micro_batch or train.batch_size), device.memory_total()
    text = (
        f"about {needed:,.0f} MB of {there:,.0f} MB, and {duration(hours)} (h:mm:ss) for {train.steps:,} steps of "
        f"{train.batch_size:,} pairs in one process, {apart} apart"
    )
    if needed <= there:
        return Line("cost", True, text)
    fitting = int(0.8 * (there - fixed) / of_pair) if of_pair else 0
    hint = f"set train.micro_batch: {fitting}" if fitting > 0 else "take a smaller model"
    return Line("cost", False, f"{text}: that does not fit; {hint}")
