"""The benchmark `scenes`: three tasks on drawn scenes of the unseen split, two of them beside a simple baseline.

`scenes@retrieval` (recall of images and captions), `scenes@texts` (correlation of cosines with the likeness of what two
captions tell of) and `scenes@images` (mAP, relevant being an image with a combination of shape and colour in common);
`scenes` alone measures all three, and draws and encodes each image once.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....data.sources.scenes.graded_pairs import graded_pair
from ....data.sources.scenes.source import SceneSource
from ....data.sources.scenes.words import LANGUAGES
from ....errors import ConfigError, nearest
from ...encoding import Progress
from ...metrics.plain_likeness import word_cosines
from ...metrics.similarity import pearson, spearman
from ...runs.records import Outcome, Result
from ..benchmark import Benchmark, read_options
from ..image_retrieval.shared_labels import headline, precisions
from ..reading import Reading, check_split, set_of
from ..retrieval.outcome import Meter, boxed, checksum, encode_distinct_images, outcome
from ..text_similarity.sts import measure
from ..text_similarity.text_pairs import TextPairs
from .drawings import Drawings

if TYPE_CHECKING:
    from ....inference.model import Model

SETS = ("retrieval", "texts", "images")
WORDS = (
    "words_*: a baseline that knows words alone, the cosine of the sets of words of two captions, weighted by inverse "
    "document frequency"
)
COLOURS = "colours_*: a baseline that knows colours alone, the likeness of colour histograms"


@dataclass(frozen=True, kw_only=True)
class Options:
    """language: of the captions, zh or en. images, pairs: how many images, and pairs of captions. seed: another one
    gives other scenes. size: side of the images in pixels, that of the model's pixel profile where it is None."""

    language: str = "zh"
    images: int = field(default=1000, metadata={"least": 2})
    pairs: int = field(default=2000, metadata={"least": 2})
    seed: int = field(default=0, metadata={"least": 0})
    size: int | None = field(default=None, metadata={"least": 2})


def evaluate(
    model: "Model",
    name: str,
    data: str | Path | None = None,
    *,
    split: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Outcome:
    """The Outcome of `scenes` or `scenes@SET`; options: those of the record `Options`.

    data: None, since nothing is read; split: `test`, the only one that is measured. The checksum of the data is over
    pixels, captions, labels and grades. Raises ConfigError.
    """
    told, wanted = read_options(Options, options, name), set_of(name, "scenes", SETS)
    if data is not None:
        raise ConfigError(f"the benchmark {name} is drawn and reads no files, but --data is {data}; leave --data out")
    check_split(split or "test", ["test"], "scenes")
    if told.language not in LANGUAGES:
        hint = nearest(told.language, LANGUAGES) or LANGUAGES[0]
        raise ConfigError(f"language is {told.language!r}, but captions of scenes are zh or en; did you mean {hint!r}?")
    chosen, total, found = (wanted,) if wanted else SETS, Reading(), Outcome([], "")
    if wanted != "texts":
        found = measured_images(model, told, chosen, progress)
        total.text(found.data_sha256)
    results = [with_checksum(result, found.data_sha256) for result in found.results]
    if "texts" in chosen:
        drawn = Reading()
        result = measured_texts(model, told, drawn, progress)
        results.insert(chosen.index("texts"), with_checksum(result, drawn.sha256))
        total.text(drawn.sha256)
    return replace(found, results=results, data_sha256=total.sha256)


def with_checksum(result: Result, data_sha256: str) -> Result:
    """The Result with the checksum of what it alone was measured on."""
    return replace(result, provenance={"data_sha256": data_sha256})


def measured_images(model: "Model", told: Options, chosen: tuple[str, ...], progress: Progress | None) -> Outcome:
    """The Outcome of the chosen ones of `scenes@retrieval` and `scenes@images`."""
    size = told.size or model.config.pixels.size
    drawings = Drawings(SceneSource("test", told.images, told.seed, size, told.language))
    part = drawings.pairs("scenes@retrieval", with_texts="retrieval" in chosen)
    if "retrieval" in chosen:
        found = outcome(model, [part], progress)
        embeds = found.embeddings.image
    else:
        _, embeds, digests = encode_distinct_images(model, [part], Meter(progress, [part]))
        found = Outcome([], checksum([part], digests))
    if "images" in chosen:
        found.results.append(image_result(embeds, drawings, boxed(model, part)))
    return found


def image_result(embeds: np.ndarray, drawings: Drawings, notes: tuple[str, ...]) -> Result:
    """The Result of embeddings [N, D] of all drawings: each asks the others."""
    marks, own = drawings.marks, np.arange(len(drawings))
    metrics, colours = (precisions(rows, rows, marks, marks, own) for rows in (embeds, drawings.colours))
    shared = (np.count_nonzero(marks.astype(np.float32) @ marks.T) - len(own)) / (len(own) * (len(own) - 1))
    chance = (
        f"{100 * shared:.1f} % of the other images are relevant to an image; the mAP of an order at random is a little "
        "above that, the more so the smaller K is"
    )
    counts = {"queries": len(own), "database": len(own), "labels": marks.shape[1]}
    baseline = {f"colours_{key}": value for key, value in colours.items()}
    return Result(
        "scenes@images",
        "image-retrieval",
        {**metrics, **baseline},
        counts,
        notes=(headline(metrics), COLOURS, chance, *notes),
    )


def measured_texts(model: "Model", told: Options, total: Reading, progress: Progress | None) -> Result:
    """The Result of `scenes@texts`; what was drawn is added to `total`."""
    rows = [graded_pair(told.seed, index, told.language) for index in range(told.pairs)]
    for row in rows:
        total.text("\t".join(map(str, row)))
    first, second, labels = (list(column) for column in zip(*rows, strict=True))
    where = [f"scenes:pairs:{index}" for index in range(told.pairs)]
    pairs = TextPairs(first, second, np.array(labels, np.float64), where)
    result = measure(model, "scenes@texts", pairs, "test", Reading(), progress)
    scores = word_cosines(first, second)
    baseline = {"words_spearman": spearman(scores, pairs.labels), "words_pearson": pearson(scores, pairs.labels)}
    return replace(result, metrics={**result.metrics, **baseline}, notes=(*result.notes, WORDS))


BENCHMARKS = {"scenes": Benchmark(evaluate, Options, drawn=True)}
