"""Semantic textual similarity: correlation between the cosines of pairs of texts and their labels.

Sets: `sts@lcqmc`, `sts@afqmc`, `sts@atec`, `sts@sts-b` (Chinese), `sts@sts-b-en`; `sts` alone runs all that it finds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import DataError
from ...encoding import Progress
from ...left_out import LeftOut
from ...metrics.finite import finite
from ...metrics.similarity import pearson, spearman
from ...runs.records import Outcome, Result
from ..benchmark import Benchmark, read_options
from ..counts import check_count
from ..reading import Reading, check_split, find, is_folder, missing, set_of
from .text_pairs import TextPairs, read_pairs

if TYPE_CHECKING:
    from ....inference.model import Model

WINDOW = 4096
"""Pairs encoded together; only their cosines are kept."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """allow_counts: another number of pairs than the published one is a note, not an error. skip_broken: leave out rows
    that are no pair. window: pairs encoded together, WINDOW by default."""

    allow_counts: bool = False
    skip_broken: bool = False
    window: int | None = None


@dataclass(frozen=True)
class TextSet:
    """folders: where, below the data folder, a set may lie. files: names by split; a list among the names means that
    all its files belong together. counts: pairs by split. source: where the files are obtained. split: what `test`
    stands for."""

    folders: tuple[str, ...]
    files: dict[str, tuple]
    counts: dict[str, int]
    source: str
    split: str = "test"


def community(name: str) -> dict[str, str]:
    """Names of the files of a set in the collection senteval_cn."""
    return {"train": f"{name}.train.data", "dev": f"{name}.valid.data", "test": f"{name}.test.data"}


def plain(name: str, *suffixes: str) -> dict[str, tuple[str, ...]]:
    """Names by split: train, dev and test with each suffix, then those of senteval_cn."""
    return {split: (*(split + suffix for suffix in suffixes), other) for split, other in community(name).items()}


SETS = {
    "lcqmc": TextSet(
        ("lcqmc", "LCQMC"),
        plain("LCQMC", ".tsv", ".txt"),
        {"train": 238766, "dev": 8802, "test": 12500},
        "apply for LCQMC at Harbin Institute of Technology in Shenzhen, or register for the text "
        "similarity task of Qianyan (luge.ai)",
    ),
    "afqmc": TextSet(
        ("afqmc", "AFQMC", "afqmc_public"),
        {"train": ("train.json", "AFQMC.train.data"), "dev": ("dev.json", "AFQMC.valid.data")},
        {"train": 34334, "dev": 4316},
        "download afqmc_public.zip of the CLUE benchmark (its test.json has no labels: measure on dev)",
        split="dev",
    ),
    "atec": TextSet(
        ("atec", "ATEC"),
        {
            **plain("ATEC", ".tsv", ".csv"),
            "all": ("atec_nlp_sim_train_all.csv", ["atec_nlp_sim_train.csv", "atec_nlp_sim_train_add.csv"]),
        },
        {"all": 102477, "train": 62477, "dev": 20000, "test": 20000},
        "register for Ant Financial's ATEC NLP contest, whose two files are the split `all`; train, dev "
        "and test are those of the collection senteval_cn",
    ),
    "sts-b": TextSet(
        ("sts-b", "STS-B", "stsb", "STSB"),
        {split: (f"cnsd-sts-{split}.txt", *names) for split, names in plain("STS-B", ".tsv", ".txt").items()},
        {"dev": 1458, "test": 1361},
        "download the folder STS-B of the collection CNSD; the English files are sts@sts-b-en",
    ),
    "sts-b-en": TextSet(
        ("sts-b-en", "stsbenchmark", "STSBenchmark", "STS-B-en"),
        {"train": ("sts-train.csv", "train.tsv"), "dev": ("sts-dev.csv", "dev.tsv"), "test": ("sts-test.csv",)},
        {"train": 5749, "dev": 1500, "test": 1379},
        "download Stsbenchmark.tar.gz from the STS benchmark's page of the IXA group",
    ),
}


def evaluate(
    model: "Model",
    name: str,
    data: str | Path,
    *,
    split: str = "test",
    progress: Progress | None = None,
    **options: Any,
) -> Outcome:
    """The Outcome of `sts` or `sts@SET` on the files in the folder `data`: Spearman and Pearson x 100.

    split: train, dev, test, or `all` for ATEC. AFQMC publishes no labels for its test split, so `test` means dev there;
    ATEC's `test` is that of senteval_cn, and `all` where only the contest's files are there. options: those of the
    record `Options`. Raises ConfigError and DataError.
    """
    options = read_options(Options, options, name)
    data, wanted = is_folder(data), set_of(name, "sts", SETS, [("stsb", "sts-b"), ("stsbenchmark", "sts-b-en")])
    if wanted:
        check_split(split, list(dict.fromkeys([*SETS[wanted].files, "test"])), f"sts@{wanted}")
    results, left, total = [], [], Reading()
    for key in [wanted] if wanted else SETS:
        reading = Reading()
        files, part = set_files(key, data, split, only=wanted is not None)
        if files is None:
            left.append(key)
            continue
        pairs = read_set(key, files, part, reading, options)
        results.append(measure(model, f"sts@{key}", pairs, part, reading, progress, options.window or WINDOW))
        total.text(reading.sha256)
    if not results:
        raise missing(
            data,
            ["files of LCQMC", "AFQMC", "ATEC", "STS-B"],
            "put each set into a folder of its name; sts@SET says which files it needs",
        )
    if left:
        results[0].notes += (f"not in {data}: {', '.join(left)}",)
    return Outcome(results, total.sha256)


def set_files(key: str, data: Path, split: str, only: bool) -> tuple[list[Path] | None, str]:
    """(files, split) of a set in a folder. Without them: DataError when it is the `only` one, else (None, split).

    Files of general names such as test.tsv count only in a folder of the set's name, unless the set is the only one.
    """
    task = SETS[key]
    folders = [data / folder for folder in task.folders]
    folders += [data] if only else []
    parts = [task.split, *(["all"] if "all" in task.files else [])] if split == "test" else [split]
    for part in parts:
        for names in task.files.get(part, ()):
            group = names if isinstance(names, list) else [names]
            specific = any(marker in group[0].lower() for marker in ("sts-", "atec", "lcqmc", "afqmc"))
            for folder in [*folders, *([data] if specific else [])]:
                paths = [find([folder], [name]) for name in group]
                if all(paths):
                    return paths, part
    if not only:
        return None, split
    wanted = [
        " and ".join(names) if isinstance(names, list) else names
        for part in parts
        for names in task.files.get(part, ())
    ]
    raise missing(data, wanted, task.source)


def read_set(key: str, files: Sequence[Path], part: str, reading: Reading, options: Options) -> TextPairs:
    """TextPairs of one split of a set, its number of pairs compared with the published one."""
    left_out = LeftOut(options.skip_broken)
    pairs = TextPairs([], [], np.zeros(0), [])
    for path in files:
        more = read_pairs(path, reading, left_out)
        pairs = TextPairs(
            pairs.first + more.first,
            pairs.second + more.second,
            np.concatenate([pairs.labels, more.labels]),
            pairs.where + more.where,
        )
    reading.notes.extend(left_out.notes("rows"))
    rows, published = len(pairs.first) + len(left_out.reasons), SETS[key].counts.get(part)
    title = f"{' and '.join(map(str, files))}: pairs"
    reading.notes.extend(check_count(title, rows, published, options.allow_counts))
    if len(pairs.first) < 2 or len(np.unique(pairs.labels)) < 2:
        raise DataError(
            f"{files[0]}: the labels are all equal, so nothing can correlate with them; give the split "
            "whose labels are published"
        )
    return pairs


def measure(
    model: "Model",
    name: str,
    pairs: TextPairs,
    part: str,
    reading: Reading,
    progress: Progress | None,
    window: int = WINDOW,
) -> Result:
    """The Result of one set."""
    values = np.unique(pairs.labels)
    if len(values) == 2:
        reading.notes.append("labels are binary, so even a perfect ranking stays below 100")
    reading.notes.insert(0, f"headline metric spearman; split {part}")
    scores = cosines(model, pairs.first, pairs.second, window, progress)
    metrics = {"spearman": spearman(scores, pairs.labels), "pearson": pearson(scores, pairs.labels)}
    counts = {"pairs": len(scores), "texts": len({*pairs.first, *pairs.second})}
    return Result(name, "sts", metrics, counts, notes=tuple(reading.notes))


def cosines(
    model: "Model", first: Sequence[str], second: Sequence[str], window: int = WINDOW, progress: Progress | None = None
) -> np.ndarray:
    """float64 [N]: cosine of the embeddings of every pair of texts; a text that recurs in a window is encoded once."""
    scores = np.empty(len(first))
    for start in range(0, len(first), window):
        stop = min(start + window, len(first))
        texts = list(dict.fromkeys([*first[start:stop], *second[start:stop]]))
        row = {text: position for position, text in enumerate(texts)}
        embeds = finite(model.encode_text(texts), lambda place, texts=texts: f"the text {texts[place]!r}")
        one, other = ([row[text] for text in side[start:stop]] for side in (first, second))
        scores[start:stop] = np.einsum("nd,nd->n", embeds[one], embeds[other], dtype=np.float64)
        if progress:
            progress(stop, len(first))
    return scores


BENCHMARKS = {"sts": Benchmark(evaluate, Options)}
