"""The demo: train on drawn scenes, measure on the unseen split beside the colour baseline, write a page about it."""

import json
import platform
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...config.load import load_run
from ...config.run import RunConfig
from ...data.sources.base import Source
from ...data.sources.scenes.source import SceneSource
from ...data.tokenizer import Tokenizer
from ...errors import ConfigError
from ...evaluation.embeddings import Embeddings
from ...evaluation.encoding import encode_source
from ...evaluation.retrieval import evaluate
from ...files.atomic import LOG
from ...files.claim import Claims
from ...files.json_files import read_json, write_json
from ...files.leftovers import clear_leftovers_in
from ...files.marks import written_by
from ...files.paths.place import check_folder
from ...files.run_folder import CHECKPOINTS, RUN_FILES, whole_steps
from ...inference.model import Model, load
from ...runtime import cpu_count
from ...schema import as_dict
from ...stop import Stopped
from ...training.trainer import Trainer
from .colour_baseline import Split, colour_baseline
from .page import DemoReport, write_report
from .scene_index import INDEX, index_scenes, search_told
from .search_picture import PICTURE, write_search_picture

REQUIRED = {"t2i_r1": 35.0, "i2t_r1": 35.0, "t2i_r10": 85.0, "i2t_r10": 85.0}
COMMAND, OWN = "demo", "demo.json"
"""What marks the files of the demo as its own, and the file that marks its run."""
TEST_IMAGES = 1000
BASELINE_IMAGES = 6000
SHOWN_QUERIES, SHOWN_IMAGES, BEST = 12, 8, 5
ASKED = 0
"""The unseen image whose caption is looked for at the end"""


def prepare(config: RunConfig) -> str | None:
    """Make the run folder ready: "auto" where an interrupted demo of this configuration goes on, None for a new one.

    A demo that is finished, or of another configuration, is removed; ConfigError for any other folder with something
    in it, such as a run of ernie-vil2 train.
    """
    folder, wanted = Path(config.output), json.loads(json.dumps(as_dict(config)))
    own = folder / OWN
    for told in clear_leftovers_in(folder):
        LOG.warning("note: %s", told)
    if folder.is_dir() and any(folder.iterdir()) or folder.is_file():
        if not written_by(own, COMMAND) or others(folder):
            raise ConfigError(
                f"{folder} holds something else than a run of the demo, so it is not replaced; choose another with "
                "-o output=..."
            )
        held = read_json(own)
        if held.get("config") == wanted and not held.get("finished") and whole_steps(folder / CHECKPOINTS):
            return "auto"
        shutil.rmtree(folder)
    note(folder, wanted, finished=False)
    return None


def others(folder: Path) -> set[str]:
    """Names in a folder of what no run of the demo writes."""
    return {entry.name for entry in folder.iterdir() if not entry.match("stopped-step-*.json")} - {
        *RUN_FILES,
        OWN,
        INDEX,
        PICTURE,
    }


def note(folder: Path, config: dict[str, Any], finished: bool) -> None:
    """Mark a run folder as the demo's own, with what it was made of."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / OWN, {"finished": finished, "config": config}, COMMAND)


def check_scenes(config: RunConfig) -> None:
    """ConfigError unless the sources are drawn scenes, which alone have an unseen split."""
    for name in ("train", "valid"):
        spec = getattr(config.data, name)
        if not isinstance(spec, dict) or spec.get("kind") != "scenes":
            raise ConfigError(
                f"data.{name} is {spec!r}, but the demo needs {{kind: scenes, ...}}; use ernie-vil2 train"
            )


def unseen_split(config: RunConfig, size: int = TEST_IMAGES) -> SceneSource:
    """The split of combinations never seen in training, drawn like the validation source of the run."""
    return SceneSource(**unseen_options(config, size))


def unseen_options(config: RunConfig, size: int) -> dict[str, Any]:
    """Options of the source of `unseen_split`."""
    options = {key: value for key, value in config.data.valid.items() if key not in ("kind", "split", "size")}
    return {"split": "test", "size": size, **options}


def run_demo(
    path: str | Path,
    overrides: Sequence[str] = (),
    say: Callable[[str], object] = print,
    replace: bool = False,
) -> tuple[Path, dict[str, float], dict[str, float], str]:
    """Train the configuration at `path`; returns (path of report.html, result, baseline, what a search finds).

    A demo that was interrupted goes on. replace: a report.html that is not the demo's own may be replaced. Raises
    Stopped, and writes no report, when a signal ended the training.
    """
    config = load_run(path, overrides)
    check_scenes(config)
    check_folder(config.output, replaced=True)
    page = Path(config.output).parent / "report.html"
    Claims(COMMAND, [path], replace).file(page, parents=True)
    trainer = Trainer(config, prepare(config))
    checkpoint = trainer.run()
    if trainer.stopped or trainer.stop.asked:
        raise Stopped(trainer.stop.signal or signal.SIGTERM)
    model = load(checkpoint)
    test = unseen_split(config)
    embeddings = encode_source(model, test)
    result = evaluate(embeddings, "standard")["standard"]
    say("fitting the baseline of colours and words ...")
    baseline = measure_baseline(config, model.tokenizer, test)
    report = DemoReport(
        title="ERNIE-ViL 2.0, small: Chinese retrieval on drawn scenes",
        facts=facts(config, model, read_log(config.output, "valid")[-1]["time"] / 60),
        train_log=read_log(config.output, "train"),
        valid_log=read_log(config.output, "valid"),
        result=result,
        baseline=baseline,
        chance=100.0 / len(test),
        required=REQUIRED,
        gallery=query_gallery(embeddings, test),
        image_gallery=image_gallery(embeddings, test),
        languages=test.languages,
    )
    write_report(page, report)
    write_search_picture(Path(config.output) / PICTURE, embeddings, test)
    say("indexing the unseen images ...")
    index = Path(config.output) / INDEX
    index_scenes(index, checkpoint, model, unseen_options(config, len(test)))
    search = search_told(index, model, test[ASKED].texts[0])
    note(Path(config.output), json.loads(json.dumps(as_dict(config))), finished=True)
    return page, result, baseline, search


def measure_baseline(config: RunConfig, tokenizer: Tokenizer, test: SceneSource) -> dict[str, float]:
    """The colour baseline on the unseen split, tuned on the validation source."""
    options = {key: value for key, value in config.data.train.items() if key not in ("kind", "cache", "size")}
    valid = {key: value for key, value in config.data.valid.items() if key != "kind"}
    train = Split(SceneSource(size=BASELINE_IMAGES, **options), tokenizer)
    return colour_baseline(train, Split(SceneSource(**valid), tokenizer), Split(test, tokenizer))


def facts(config: RunConfig, model: Model, minutes: float) -> list[tuple[str, str]]:
    """What a reader of the page wants to know about the run: [(name, value)]."""
    parameters = sum(int(np.prod(parameter.shape)) for parameter in model.network.parameters())
    return [
        ("processor", processor()),
        ("threads", str(cpu_count())),
        ("training", f"{minutes:.1f} minutes, validation included"),
        ("steps", f"{config.train.steps} of {config.train.batch_size} pairs"),
        ("parameters", f"{parameters:,}"),
        ("pairs of views", ", ".join(f"{a} - {b}" for a, b, _ in config.objective.weighted_pairs())),
        ("date", time.strftime("%Y-%m-%d")),
    ]


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.processor() or platform.machine()
    return platform.machine()


def read_log(folder: str | Path, kind: str) -> list[dict[str, Any]]:
    """Records of one kind from a run's log.jsonl."""
    lines = (Path(folder) / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def best_of(scores: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, dict[str, list]]:
    """(rows by falling score, {right, scores} of them): `own` is bool, whether a row is a right answer."""
    best = np.argsort(-scores)[:BEST]
    return best, {"right": [bool(own[row]) for row in best], "scores": [float(scores[row]) for row in best]}


def query_gallery(embeddings: Embeddings, source: Source) -> list[dict[str, Any]]:
    """Evenly spaced caption queries with their best images."""
    texts = [text for sample in source for text in sample.texts]
    entries = []
    for row in np.linspace(0, len(texts) - 1, SHOWN_QUERIES).astype(int):
        scores = embeddings.image @ embeddings.text[row]
        own = np.arange(len(scores)) == embeddings.text_image[row]
        best, marks = best_of(scores, own)
        rank = int((scores > scores[own].max()).sum()) + 1
        entries.append(
            {"query": texts[row], "images": [source[int(index)].image for index in best], "rank": rank, **marks}
        )
    return entries


def image_gallery(embeddings: Embeddings, source: Source) -> list[dict[str, Any]]:
    """Evenly spaced image queries with their best captions."""
    texts = [text for sample in source for text in sample.texts]
    entries = []
    for row in np.linspace(0, len(source) - 1, SHOWN_IMAGES).astype(int):
        best, marks = best_of(embeddings.text @ embeddings.image[row], embeddings.text_image == row)
        entries.append({"image": source[int(row)].image, "texts": [texts[index] for index in best], **marks})
    return entries
