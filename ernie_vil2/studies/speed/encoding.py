"""How fast encoding is, against a plain sequential use of the same layers.

Both sides run in processes of their own with a clean environment, and take turns, so that what else the machine does
hits both alike. The plain side imports Paddle first, with the library's own CPU settings, and loops over batches:
preprocess or tokenize and pad to the full length, then forward.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UserError
from ...files.leftovers import scratch_folder

if TYPE_CHECKING:
    from ...data.tokenizer import Tokenizer
    from ...inference.model import Model

SETTINGS = ("OMP_", "KMP_", "MKL_", "FLAGS_", "MALLOC_", "GOMP_")
PLAIN_MALLOC = {"MALLOC_ARENA_TEST": "8"}
"""The C library's own default; that it is set keeps ernie_vil2 from changing the others."""
PLAIN_BATCH = 16
CAPTION_TOKENS = 12
IMAGE_SIDES = (375, 500)
GRACE = 10
"""Seconds a side has to end by itself."""
STARTS = {
    "plain": "import warnings, paddle; warnings.simplefilter('ignore'); "
    "from ernie_vil2.studies.speed import encoding; encoding.serve('plain')",
    "ours": "from ernie_vil2.studies.speed import encoding; encoding.serve('ours')",
}


def compare(
    model: str | os.PathLike | None = None,
    vocab: str | os.PathLike | None = None,
    images: int = 16,
    texts: int = 64,
    repeats: int = 3,
    note: Callable[[str], object] = lambda line: None,
) -> dict[str, dict[str, float]]:
    """{kind: {"plain": items/s, "ours": items/s, "ratio": ...}} for images and texts, medians of `repeats` turns.

    model: a path, or None for random weights of the base size. Raises UserError when a side cannot run.
    """
    job = {
        "model": model and os.path.abspath(model),
        "vocab": vocab and os.path.abspath(vocab),
        "images": images,
        "texts": texts,
    }
    sides = {}
    try:
        for name in STARTS:
            sides[name] = Side(name, job)
        seconds = {(kind, name): [] for kind in ("images", "texts") for name in sides}
        for turn in range(repeats):
            for kind, name in seconds:
                seconds[kind, name].append(sides[name].ask(kind))
                note(f"turn {turn + 1} of {repeats}: {name}, {job[kind] / seconds[kind, name][-1]:.2f} {kind}/s")
    finally:
        for side in sides.values():
            side.close()
    result = {}
    for kind in ("images", "texts"):
        plain, ours = seconds[kind, "plain"], seconds[kind, "ours"]
        result[kind] = {
            "plain": job[kind] / statistics.median(plain),
            "ours": job[kind] / statistics.median(ours),
            "ratio": statistics.median(a / b for a, b in zip(plain, ours, strict=True)),
        }
    return result


def table(result: Mapping[str, Mapping[str, float]]) -> str:
    """The figures of `compare` as lines."""
    lines = [f"{'':8}{'plain':>10}{'ours':>10}{'ratio':>8}"]
    for kind, row in result.items():
        lines.append(f"{kind:8}{row['plain']:>8.2f}/s{row['ours']:>8.2f}/s{row['ratio']:>7.2f}x")
    return "\n".join(lines)


class Side:
    """A process that measures when asked."""

    def __init__(self, name: str, job: Mapping[str, Any]):
        environment = {key: value for key, value in os.environ.items() if not key.startswith(SETTINGS)}
        if name == "plain":
            environment.update(PLAIN_MALLOC)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        self.name = name
        self.errors = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(
            [sys.executable, "-c", STARTS[name]],
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
        )
        self.ask(json.dumps(job))

    def ask(self, line: str) -> float:
        """The number that the process answers to a line."""
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            while answer := self.process.stdout.readline():
                if answer.startswith("seconds "):
                    return float(answer.split()[1])
        except BrokenPipeError:
            pass
        self.errors.seek(0)
        reason = (self.errors.read().strip() or "it gave no reason").split("\n")[-1]
        raise UserError(f"the {self.name} side of the comparison stopped: {reason}")

    def close(self) -> None:
        """End the process: at the end of its input, or killed (Paddle's handler of SIGTERM can wait for ever)."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def serve(name: str) -> None:
    """The loop of a side: a job as JSON on the first line, then "images" or "texts"; answers `seconds S`."""
    job = json.loads(sys.stdin.readline())
    model = prepare(job["model"], job["vocab"])
    photos, captions = sample_images(job["images"]), sample_captions(model.tokenizer, job["texts"])
    if name == "plain":
        runs = {"images": lambda: plain_images(model, photos), "texts": lambda: plain_texts(model, captions)}
    else:
        runs = {"images": lambda: model.encode_image(photos), "texts": lambda: model.encode_text(captions)}
    model.encode_image(photos[:1])
    model.encode_text(captions[:1])
    print("seconds 0", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        runs[line.strip()]()
        print(f"seconds {time.perf_counter() - start}", flush=True)


def prepare(path: str | os.PathLike | None, vocab: str | os.PathLike | None) -> "Model":
    """The Model at a path, or one of the base size with random weights and a vocabulary of ideographs."""
    from ...config.model import ModelConfig
    from ...data.tokenizer import Tokenizer
    from ...data.vocabulary_file import write_vocab
    from ...inference.model import Model, load
    from ...models.dual_encoder import new_model

    if path:
        return load(path, vocab)
    config = ModelConfig()
    with scratch_folder("encoding") as folder:
        file = folder / "vocab.txt"
        write_vocab(["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]", *(chr(0x4E00 + step) for step in range(3000))], file)
        tokenizer = Tokenizer(file, config.max_length, config.lower_case, config.tokenizer, config.fixed_length)
        return Model(new_model(config), tokenizer)


def sample_images(count: int) -> list[bytes]:
    """JPEG files of photograph size, as bytes."""
    import cv2

    rng = np.random.default_rng(0)
    smooth = (rng.integers(0, 256, (12, 16, 3), dtype=np.uint8) for _ in range(count))
    return [cv2.imencode(".jpg", cv2.resize(colours, IMAGE_SIDES[::-1]))[1].tobytes() for colours in smooth]


def sample_captions(tokenizer: "Tokenizer", count: int) -> list[str]:
    """Chinese captions of CAPTION_TOKENS characters, a token each, [CLS] and [SEP] not counted."""
    characters = [token for token in tokenizer.vocab if len(token) == 1 and "\u4e00" <= token <= "\u9fff"]
    if not characters:
        raise UserError("the model's vocabulary has no Chinese characters to make captions of; leave out --model")
    rng = np.random.default_rng(0)
    return ["".join(rng.choice(characters, CAPTION_TOKENS)) for _ in range(count)]


def plain_images(model: "Model", photos: Sequence[bytes]) -> None:
    """Batches one after the other: preprocess each image, then forward."""
    import paddle

    model.network.eval()
    with paddle.no_grad():
        for start in range(0, len(photos), PLAIN_BATCH):
            batch = np.stack([model.preprocess(photo) for photo in photos[start : start + PLAIN_BATCH]])
            model.network.encode_image(paddle.to_tensor(batch)).numpy()


def plain_texts(model: "Model", captions: Sequence[str]) -> None:
    """Batches one after the other: ids padded to the full length, then forward."""
    import paddle

    model.network.eval()
    with paddle.no_grad():
        for start in range(0, len(captions), PLAIN_BATCH):
            ids = model.tokenize(captions[start : start + PLAIN_BATCH])
            ids = np.pad(ids, ((0, 0), (0, model.config.max_length - ids.shape[1])))
            model.network.encode_text(paddle.to_tensor(ids)).numpy()
