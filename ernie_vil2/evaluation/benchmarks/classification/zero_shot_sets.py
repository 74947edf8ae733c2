"""Zero-shot classification: `imagenet-zh` and `elevater-zh` (Chinese-CLIP's folders), `folder` (any classes).

`imagenet-zh` and `elevater-zh@SET` read `label_cn.txt` (`label.txt` for language=en) and `SPLIT/<number>/*.jpg`, where
the number of a folder is the line of its class, from 0. `elevater-zh` alone runs every set found as a sub-folder.
`folder` reads `DIR/<class>/*.jpg`; the class is called like its folder, or as classes.txt (`folder TAB name`) says.
A folder with one of the label files is read in Chinese-CLIP's form, so that also works for sets of one's own.
"""

import numpy as np

from ...prompts import language_of, templates
from ...runs.results import Outcome, Result
from ...zero_shot import accuracies, class_embeddings, eleven_point_ap, roc_auc, top_classes
from ..reading import Reading, check_count, check_options, encode_images, is_folder, missing, note_skipped, set_of
from .class_folders import LABEL_FILES, read_folder, read_numbered, split_folder
from .elevater import ALIASES, ROC_AUC, SETS, SOURCE, VOC_MAP, ElevaterSet
from .voc import holds_voc, read_voc

IMAGENET = ElevaterSet(1000, 50000)
IMAGENET_SOURCE = (
    "request the validation images at image-net.org, sort them into a folder per class in the order of "
    "the classes, and take label_cn.txt from datasets/ImageNet-1K of OFA-Sys/Chinese-CLIP"
)
OWN_SOURCE = "beside the label file, make a folder of that name with a sub-folder for each of its lines"
OPTIONS = ("language", "domain", "synonyms", "allow_counts", "skip_broken", "window")


def evaluate(model, name, data, *, split="test", progress=None, **options):
    """The Outcome of `imagenet-zh`, `elevater-zh[@SET]` or `folder` in the folder `data`.

    options: language ("zh" or "en"; default zh, for `folder` guessed from the names), domain (of `prompts.ENSEMBLES`),
    synonyms (False reads a line with commas as one name), allow_counts (another number of images or classes than the
    published one is a note, not an error), skip_broken (leave out images that cannot be decoded), window (images
    encoded together). Raises ConfigError and DataError.
    """
    check_options(options, OPTIONS)
    data, benchmark = is_folder(data), name.partition("@")[0]
    reading = Reading()
    if benchmark == "elevater-zh":
        wanted = set_of(name, benchmark, SETS, ALIASES.items())
        if wanted is None:
            return evaluate_all(model, data, split, progress, options)
        folder = data / wanted if (data / wanted).is_dir() else data
        task, source = SETS[wanted], SOURCE
        name = f"{benchmark}@{wanted}"
    else:
        set_of(name, benchmark, ())
        folder = data
        task, source = (IMAGENET, IMAGENET_SOURCE) if benchmark == "imagenet-zh" else (None, OWN_SOURCE)
    language = options.get("language") or ("zh" if task else own_language(folder))
    if language:
        templates(language=language)
    if task is None and (language is None or not (folder / LABEL_FILES[language]).is_file()):
        images = read_folder(folder, reading)
        language = language or language_of([first for first, *_ in images.classes])
    elif task and task.metric == VOC_MAP:
        images = read_voc(folder, split, language, reading)
    else:
        synonyms = options.get("synonyms")
        synonyms = not (task and task.sentences) if synonyms is None else synonyms
        images = read_numbered(folder, reading, split, language, synonyms, source)
    unusual = [
        what
        for what, is_so in (
            (f"{language} names and prompts", task and language != "zh"),
            (f"the split {split}", task and split not in ("test", "val")),
        )
        if is_so
    ]
    if unusual:
        reading.notes.append(f"{' and '.join(unusual)}: not comparable with published figures of this benchmark")
    if task and split in ("test", "val"):
        allow = options.get("allow_counts", False)
        check_count(f"{folder}: classes", len(images.classes), task.classes, allow, reading)
        part = split if task.metric == VOC_MAP else split_folder(folder, split).name
        check_count(f"{folder}: images of {part}", len(images.images), task.images, allow, reading)
    domain = options.get("domain") or (task.domain if task else "general")
    ensemble = templates(domain, language)
    metrics, used = measure(model, images, ensemble, task.metric if task else None, options, reading, progress)
    same = len(images.classes) - len(set(images.classes))
    if same:
        reading.notes.append(f"{same} classes have the name of another one, so their images cannot all be told apart")
    headline = task.metric if task else "acc@1"
    reading.notes.insert(0, f"headline metric {headline}; {len(ensemble)} {language} prompts of the domain {domain}")
    result = Result(
        name, "classification", metrics, {"images": used, "classes": len(images.classes)}, notes=tuple(reading.notes)
    )
    return Outcome([result], reading.sha256)


def own_language(folder):
    """The language of the label file in a folder, None without one."""
    return next((language for language, name in LABEL_FILES.items() if (folder / name).is_file()), None)


def evaluate_all(model, data, split, progress, options):
    """Every ELEVATER set that is a sub-folder of `data`, and the mean of their headline metrics."""
    present = [key for key in SETS if (data / key).is_dir()]
    if not present:
        raise missing(data, ["folder of a set such as food-101"], SOURCE)
    results, left, total = [], [key for key in SETS if key not in present], Reading()
    for key in present:
        if SETS[key].metric == VOC_MAP and not holds_voc(data / key):
            left.append(f"{key} (has no ImageSets/Main)")
            continue
        outcome = evaluate(model, f"elevater-zh@{key}", data, split=split, progress=progress, **options)
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


def measure(model, data, ensemble, metric, options, reading, progress):
    """({name: value}, number of images used) of a set; `metric` decides what beside accuracies is computed."""
    classes = class_embeddings(model, data.classes, ensemble)
    every, skipped = metric in (ROC_AUC, VOC_MAP), []
    rows_of, top, scores = [], [], []
    for positions, embeds in encode_images(model, data.images, data.images.__getitem__, options, skipped, progress):
        part = embeds @ classes.T
        rows_of.append(positions)
        top.append(top_classes(part))
        if every:
            scores.append(part)
    note_skipped(skipped, "images", reading)
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
