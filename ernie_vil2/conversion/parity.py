"""Does a loaded model compute what the release computes? Against a fixture directory, or the published numbers.

A fixture holds texts.json, images/ (in the order of their names) and expected.npz: input_ids [T, L], crops [I, S, S, 3]
uint8, raw text_embeds [T, D] and image_embeds [I, D], pair_loss and logit_scale (the symmetric InfoNCE of the first
texts with the images, one to one); optionally gradients.json, the L2 norm of that loss's gradient for every parameter.
"""

import dataclasses
import json
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..config.model import PIXEL_PROFILES
from ..errors import DataError

EMBED_ABSOLUTE = 1e-4
EMBED_COSINE = 0.999999
LOSS_ABSOLUTE = 1e-5
GRADIENT_RELATIVE = 1e-3
PUBLISHED_ABSOLUTE = 1e-3
ARRAYS = ("input_ids", "crops", "text_embeds", "image_embeds", "pair_loss", "logit_scale")
CAT, DOG = "猫的照片", "狗的照片"
PUBLISHED_IMAGE = (
    "give --image FILE, the image 000000039769.jpg (two cats on a sofa) of COCO's val2017, "
    "on which the published numbers were computed"
)


@dataclass
class Check:
    """One line of the table."""

    name: str
    wanted: str
    got: str
    difference: str
    passed: bool


@dataclass
class Fixture:
    """A fixture directory in memory."""

    texts: list
    images: list
    expected: dict
    gradients: dict | None


def read_fixture(folder):
    """Fixture from a directory; DataError says which file is missing or does not fit."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"no fixture directory at {folder}; it holds texts.json, images/ and expected.npz")
    try:
        texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
        with np.load(folder / "expected.npz", allow_pickle=False) as file:
            expected = {name: file[name] for name in ARRAYS if name in file.files}
        images = sorted(path for path in (folder / "images").iterdir() if not path.name.startswith("."))
        gradients = folder / "gradients.json"
        norms = json.loads(gradients.read_text(encoding="utf-8"))["grad_norms"] if gradients.is_file() else None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"fixture {folder} cannot be read ({type(error).__name__}: {error}); copy it again") from None
    missing = [name for name in ARRAYS if name not in expected]
    if missing:
        raise DataError(f"{folder}/expected.npz lacks {', '.join(missing)}; copy the fixture again")
    for name, items, of in (
        ("input_ids", texts, "texts.json"),
        ("text_embeds", texts, "texts.json"),
        ("crops", images, "images/"),
        ("image_embeds", images, "images/"),
    ):
        if len(expected[name]) != len(items) or not len(items):
            raise DataError(
                f"{folder}: {name} has {len(expected[name])} rows but {of} {len(items)} items; copy the fixture again"
            )
    return Fixture(texts, images, expected, norms)


def check_fixture(model, fixture, network=None):
    """Checks of a model (as `ernie_vil2.Model`) against a Fixture: tokens, pixels, text, image, loss and, where the
    fixture has them and `network` (its DualEncoder) is given, gradients.
    """
    from ..data.images.decode import decode
    from ..data.images.resize import crop

    expected, names = fixture.expected, [path.name for path in fixture.images]
    ids = np.asarray(model.tokenize(fixture.texts))
    profile = model.config.pixels
    crops = [crop(decode(path, profile), profile) for path in fixture.images]
    text = np.asarray(model.encode_text(fixture.texts, normalize=False))
    image = np.asarray(model.encode_image(fixture.images, normalize=False))
    pairs = min(len(text), len(image))
    scale = float(np.reshape(model.logit_scale, -1)[0])
    scale_wanted = float(np.reshape(expected["logit_scale"], -1)[0])
    loss = pair_loss(image[:pairs], text[:pairs], scale)
    checks = [
        equal("tokens", *same_width(expected["input_ids"], ids), fixture.texts),
        equal("pixels", list(expected["crops"]), crops, names),
        close("text", expected["text_embeds"], text, fixture.texts),
        close("image", expected["image_embeds"], image, names),
        number("loss", float(expected["pair_loss"]), loss, LOSS_ABSOLUTE),
        number("logit scale", scale_wanted, scale, LOSS_ABSOLUTE * abs(scale_wanted)),
    ]
    if fixture.gradients and network is not None:
        batch = np.stack([model.preprocess(path) for path in fixture.images[:pairs]])
        checks.append(gradients(fixture.gradients, gradient_norms(network, ids[:pairs], batch)))
    return checks


def same_width(left, right):
    """Two lists of token ids [N, L], padded with 0 to the longer length."""
    width = max(left.shape[1], right.shape[1])
    return [np.pad(ids, ((0, 0), (0, width - ids.shape[1]))) for ids in (left, right)]


def equal(name, wanted, got, labels):
    """Check that integer arrays are equal item by item."""
    worst, different, where = 0, 0, ""
    for label, want, have in zip(labels, wanted, got, strict=True):
        if np.shape(want) != np.shape(have):
            return Check(name, f"{np.shape(want)}", f"{np.shape(have)}", f"shape of {short(label)}", False)
        gap = np.abs(np.asarray(want, np.int64) - np.asarray(have, np.int64))
        different += int(np.count_nonzero(gap))
        if gap.max() > worst:
            worst, where = int(gap.max()), f" at {short(label)}"
    total = sum(np.size(want) for want in wanted)
    return Check(name, f"{total:,} equal", f"{total - different:,} equal", f"{worst}{where}", not different)


def close(name, wanted, got, labels):
    """Check raw embeddings [N, D]: absolute difference and cosine."""
    if wanted.shape != got.shape:
        return Check(name, f"{list(wanted.shape)}", f"{list(got.shape)}", "shape", False)
    wanted, got = wanted.astype(np.float64), got.astype(np.float64)
    gap = np.abs(wanted - got).max(axis=1)
    cosine = ((wanted * got).sum(axis=1) / np.sqrt((wanted**2).sum(axis=1) * (got**2).sum(axis=1))).min()
    worst = int(np.argmax(np.nan_to_num(gap, nan=np.inf)))
    passed = bool(gap.max() <= EMBED_ABSOLUTE and cosine >= EMBED_COSINE)
    return Check(
        name,
        f"<= {EMBED_ABSOLUTE:g}, cosine >= {EMBED_COSINE}",
        f"cosine {cosine:.8f}",
        f"{gap[worst]:.2e} at {short(labels[worst])}",
        passed,
    )


def number(name, wanted, got, tolerance):
    """Check one number or a short row of numbers against an absolute tolerance."""
    wanted, got = np.atleast_1d(np.asarray(wanted, np.float64)), np.atleast_1d(np.asarray(got, np.float64))
    gap = float(np.abs(wanted - got).max())
    shown = [" ".join(f"{value:.6f}" for value in values) for values in (wanted, got)]
    return Check(name, *shown, f"{gap:.2e}", gap <= tolerance)


def gradients(wanted, got):
    """Check norms {key: float}, relative; text key biases are left out, their gradient is zero but for rounding."""
    keys = [key for key in wanted if not (key.startswith("text_model.") and key.endswith(".attn.k.bias"))]
    gaps = {key: abs(got[key] - wanted[key]) / max(wanted[key], 1e-12) if key in got else np.inf for key in keys}
    within = sum(gap <= GRADIENT_RELATIVE for gap in gaps.values())
    worst = max(gaps, key=lambda key: np.nan_to_num(gaps[key], nan=np.inf))
    return Check(
        "gradients",
        f"{len(keys)} norms, 0.1 %",
        f"{within} within",
        f"{gaps[worst] * 100:.4f} % at {worst}",
        within == len(keys),
    )


def pair_loss(image, text, scale):
    """Symmetric InfoNCE of raw embeddings [B, D] paired row by row, in float64."""
    image, text = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (np.float64(image), np.float64(text)))
    logits = scale * image @ text.T
    total = 0.0
    for rows in (logits, logits.T):
        top = rows.max(axis=1)
        total += np.mean(top + np.log(np.exp(rows - top[:, None]).sum(axis=1)) - np.diag(rows))
    return total / 2


def gradient_norms(network, ids, pixels):
    """{key: L2 norm of the gradient of the pair loss} of a DualEncoder; ids [B, L], pixels float32 [B, 3, S, S].

    Written on Paddle's autograd and apart from the training objective, so that it can disagree with it.
    """
    import paddle
    import paddle.nn.functional as F

    parameters = dict(network.named_parameters())
    frozen = {key: value.stop_gradient for key, value in parameters.items()}
    network.eval()
    try:
        for value in parameters.values():
            value.stop_gradient = False
        image, text = network(paddle.to_tensor(pixels), paddle.to_tensor(ids.astype("int64")))
        logits = network.logit_scale() * F.normalize(image) @ F.normalize(text).t()
        labels = paddle.arange(len(ids))
        loss = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.t(), labels)) / 2
        loss.backward()
        return {
            key: 0.0 if value.grad is None else float(np.linalg.norm(value.grad.numpy().astype(np.float64)))
            for key, value in parameters.items()
        }
    finally:
        network.clear_gradients(set_to_zero=False)
        for key, value in parameters.items():
            value.stop_gradient = frozen[key]


def check_published(model, image):
    """Checks of the released base ViT against numbers printed by PaddleNLP, whose pixels are PIL bicubic.

    image: the COCO image named in PUBLISHED_IMAGE. The tolerance 1e-3 is that of PaddleNLP's own test.
    """
    official = model.config.pixels
    model.config.pixels = dataclasses.replace(PIXEL_PROFILES["bicubic"], size=official.size)
    try:
        picture = model.encode_image(image, normalize=False)[0].astype(np.float64)
    finally:
        model.config.pixels = official
    texts = ["一只猫的照片", "一条狗的照片", CAT, DOG, "welcome to ernie pytorch project"]
    photo_cat, photo_dog, cat, dog, welcome = model.encode_text(texts, normalize=False).astype(np.float64)
    logits = float(np.reshape(model.logit_scale, -1)[0]) * cosines(picture, photo_cat, photo_dog)
    odds = np.exp(100 * cosines(picture, cat, dog))
    rows = [
        ("logits_per_image", (20.84891510, 16.06993484), logits),
        ("image begins", (-0.59475428, -0.69795364, 0.22144008, 0.88066685, -0.58184201), picture),
        (f"{CAT} begins", (0.04250504, -0.41429776, 0.26163983, 0.29910022, 0.39019185), cat),
        (f"{DOG} begins", (0.06672225, -0.41456309, 0.13787819), dog),
        ("softmax(100 cos)", (0.99833173, 0.00166824), odds / odds.sum()),
        ("welcome ... begins", (0.10174122, -0.50740963, -0.05135643, 0.22727829, 0.57717800, -0.54775286), welcome),
    ]
    return [number(name, wanted, got[: len(wanted)], PUBLISHED_ABSOLUTE) for name, wanted, got in rows]


def cosines(query, *others):
    """Cosines of one vector with others, float64 [len(others)]."""
    return np.array([query @ other / (np.linalg.norm(query) * np.linalg.norm(other)) for other in others])


def short(label):
    """A text or file name in quotes, at most 24 characters of it."""
    return repr(label if len(label) <= 24 else label[:23] + "…")


def table(checks):
    """The checks as lines of text."""
    rows = [("check", "wanted", "got", "largest difference", "")]
    rows += [
        (check.name, check.wanted, check.got, check.difference, "pass" if check.passed else "FAIL") for check in checks
    ]
    widths = [max(columns(row[index]) for row in rows) for index in range(5)]
    padded = ([cell + " " * (width - columns(cell)) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return "\n".join("  ".join(row).rstrip() for row in padded)


def columns(text):
    """Terminal columns of a text; a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
