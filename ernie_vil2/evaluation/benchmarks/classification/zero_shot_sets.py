"""Zero-shot classification: `imagenet-zh` and `elevater-zh` (Chinese-CLIP's folders), `folder` (any classes).

`imagenet-zh` and `elevater-zh@SET` read `label_cn.txt` (`label.txt` for language=en) and `SPLIT/<number>/*.jpg`, where
the number of a folder is the line of its class, from 0. `elevater-zh` alone runs every set found as a sub-folder.
`folder` reads `DIR/<class>/*.jpg`; the class is called like its folder, or as classes.txt (`folder TAB name`) says.
A folder with one of the label files is read in Chinese-CLIP's form, so that also works for sets of one's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...encoding import Progress, encode_images
from ...left_out import LeftOut
from ...prompts import language_of, templates
from ...runs.records import Outcome, Result
from ...zero_shot import accuracies, class_embeddings, eleven_point_ap, roc_auc, top_classes
from ..benchmark import Benchmark, read_options
from ..counts import check_count
from ..reading import Reading, is_folder, missing, set_of
from .class_folders import LABEL_FILES, ClassifiedImages, read_folder, read_numbered, split_folder
from .elevater import ALIASES, ROC_AUC, SETS, SOURCE, VOC_MAP, ElevaterSet
from .voc import holds_voc, read_voc

if TYPE_CHECKING:
    from ....inference.model import Model

IMAGENET = ElevaterSet(1000, 50000)
IMAGENET_SOURCE = (
    "request the validation images at image-net.org, sort them into a folder per class in the order of "
    "the classes, and take label_cn.txt from datasets/ImageNet-1K of OFA-Sys/Chinese-CLIP"
)
OWN_SOURCE = "beside the label file, make a folder of that name with a sub-folder for each of its lines"
PUBLISHED_SPLITS = ("test", "val")
"""The splits that published figures are of."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """language: "zh" or "en"; default zh, for `folder` guessed from the names. domain: of `prompts.ENSEMBLES`.
    synonyms: False reads a line with commas as one name. allow_counts: another number of images or classes than the
    published one is a note, not an error. skip_broken: leave out images that cannot be decoded. window: images encoded
    together."""

    language: str | None = None
    domain: str | None = None
    synonyms: bool | None = None
    allow_counts: bool = False
    skip_broken: bool = False
    window: int | None = None


@dataclass(frozen=True)
class Task:
    """A set to be measured: the name of its result, its folder, what is published of it (None for a folder of one's
    own), and where its files are obtained."""

    name: str
    folder: Path
    known: ElevaterSet | None
    source: str


def evaluate(
    model: "Model",
    name: str,
    data: str | Path,
    *,
    split: str = "test",
    progress: Progress | None = None,
    **options: Any,
) -> Outcome:
    """The Outcome of `imagenet-zh`, `elevater-zh[@SET]` or `folder` in the folder `data`.

    options: those of the record `Options`. Raises ConfigError and DataError.
    """
    options, data = read_options(Options, options, name), is_folder(data)
    task = task_of(name, data)
    if task is None:
        return evaluate_all(model, data, split, options, progress)
    return evaluate_task(model, task, split, options, progress)


def task_of(name: str, data: Path) -> Task | None:
    """The Task that a name stands for in a folder; None for the bare name of several sets."""
    benchmark = name.partition("@")[0]
    if benchmark == "elevater-zh":
        wanted = set_of(name, benchmark, SETS, ALIASES.items())
        if wanted is None:
            return None
        folder = data / wanted if (data / wanted).is_dir() else data
        return Task(f"{benchmark}@{wanted}", folder, SETS[wanted], SOURCE)
    set_of(name, benchmark, ())
    if benchmark == "imagenet-zh":
        return Task(name, data, IMAGENET, IMAGENET_SOURCE)
    return Task(name, data, None, OWN_SOURCE)


def evaluate_task(model: "Model", task: Task, split: str, options: Options, progress: Progress | None) -> Outcome:
    """The Outcome of one set."""
    reading, known = Reading(), task.known
    images, language = read_task(task, split, options, reading)
    reading.notes.extend(unusual(task, split, language))
    reading.notes.extend(check_sizes(task, split, images, options.allow_counts))
    domain = options.domain or (known.domain if known else "general")
    ensemble, metric = templates(domain, language), known.metric if known else None
    metrics, used = measure(model, images, ensemble, metric, options, reading, progress)
    same = len(images.classes) - len(set(images.classes))
    if same:
        reading.notes.append(f"{same} classes have the name of another one, so their images cannot all be told apart")
    headline = f"headline metric {metric or 'acc@1'}; {len(ensemble)} {language} prompts of the domain {domain}"
    counts = {"images": used, "classes": len(images.classes)}
    result = Result(task.name, "classification", metrics, counts, notes=(headline, *reading.notes))
    return Outcome([result], reading.sha256)


def read_task(task: Task, split: str, options: Options, reading: Reading) -> tuple[ClassifiedImages, str]:
    """The images of a set in whatever form its folder has, and the language of their classes."""
    known, folder = task.known, task.folder
    language = options.language or ("zh" if known else own_language(folder))
    if language:
        templates(language=language)  # a wrong one is told before anything is read
    if known is None and (language is None or not (folder / LABEL_FILES[language]).is_file()):
        images = read_folder(folder, reading)
        return images, language or language_of([first for first, *_ in images.classes])
    if known and known.metric == VOC_MAP:
        return read_voc(folder, split, language, reading), language
    sentences = known is not None and known.sentences
    synonyms = not sentences if options.synonyms is None else options.synonyms
    return read_numbered(folder, reading, split, language, synonyms, task.source), language


def unusual(task: Task, split: str, language: str) -> tuple[str, ...]:
    """A note on what published figures of a set were not measured with."""
    if task.known is None:
        return ()
    found = [f"{language} names and prompts"] * (language != "zh")
    found += [f"the split {split}"] * (split not in PUBLISHED_SPLITS)
    return (f"{' and '.join(found)}: not comparable with published figures of this benchmark",) if found else ()


def check_sizes(task: Task, split: str, images: ClassifiedImages, allow: bool) -> tuple[str, ...]:
    """Notes on numbers of classes and images that are not the published ones; DataError unless `allow`."""
    known, folder = task.known, task.folder
    if known is None or split not in PUBLISHED_SPLITS:
        return ()
    part = split if known.metric == VOC_MAP else split_folder(folder, split).name
    return (
        *check_count(f"{folder}: classes", len(images.classes), known.classes, allow),
        *check_count(f"{folder}: images of {part}", len(images.images), known.images, allow),
    )


def own_language(folder: Path) -> str | None:
    """The language of the label file in a folder, None without one."""
    return next((language for language, name in LABEL_FILES.items() if (folder / name).is_file()), None)


def evaluate_all(model: "Model", data: Path, split: str, options: Options, progress: Progress | None) -> Outcome:
    """Every ELEVATER set that is a sub-folder of `data`, and the mean of their headline metrics."""
    present = [key for key in SETS if (data / key).is_dir()]
    if not present:
        raise missing(data, ["folder of a set such as food-101"], SOURCE)
    results, left, total = [], [key for key in SETS if key not in present], Reading()
    for key in present:
        if SETS[key].metric == VOC_MAP and not holds_voc(data / key):
            left.append(f"{key} (has no ImageSets/Main)")
            continue
        outcome = evaluate_task(model, task_of(f"elevater-zh@{key}", data), split, options, progress)
        results.extend(outcome.results)
        total.text(outcome.data_sha256)
    if not results:
        raise missing(data, ["set that can be measured"], SOURCE)
    figures = [result.metrics[SETS[result.benchmark.partition("@")[2]].metric] for result in results]
    notes = [f"mean of the headline metrics of {len(results)} of {len(SETS)} sets"]
    if left:
        notes.append(f"not in {data}: {', '.join(left)}")
    mean = Result(
        "elevater-zh",
        "classification",
        {"mean": float(np.mean(figures))},
        {"sets": len(results), "images": sum(result.counts["images"] for result in results)},
        notes=tuple(notes),
    )
    return Outcome([*results, mean], total.sha256)


def measure(
    model: "Model",
    data: ClassifiedImages,
    ensemble: Sequence[str],
    metric: str | None,
    options: Options,
    reading: Reading,
    progress: Progress | None,
) -> tuple[dict[str, float], int]:
    """({name: value}, number of images used) of a set; `metric` decides what beside accuracies is computed."""
    classes = class_embeddings(model, data.classes, ensemble)
    every, left_out = metric in (ROC_AUC, VOC_MAP), LeftOut(options.skip_broken)
    rows_of, top, scores = [], [], []
    where = data.images.__getitem__
    for positions, embeds in encode_images(model, data.images, where, left_out, options.window, progress):
        part = embeds @ classes.T
        rows_of.append(positions)
        top.append(top_classes(part))
        if every:
            scores.append(part)
    reading.notes.extend(left_out.notes("images"))
    labels = data.labels[np.concatenate(rows_of)]
    if metric == VOC_MAP:
        scores = np.concatenate(scores)
        values = [eleven_point_ap(scores[marks != 0, row], marks[marks != 0] > 0) for row, marks in enumerate(labels.T)]
        return {VOC_MAP: float(np.mean(values))}, len(labels)
    result = accuracies(np.concatenate(top), labels, len(data.classes))
    if metric == ROC_AUC:
        scores = np.concatenate(scores)
        result[ROC_AUC] = roc_auc(scores[:, 1] - scores[:, 0], labels == 1)
    return result, len(labels)


BENCHMARKS = dict.fromkeys(("imagenet-zh", "elevater-zh", "folder"), Benchmark(evaluate, Options))
