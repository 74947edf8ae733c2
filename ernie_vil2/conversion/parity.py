"""Does a loaded model compute what the release computes? Against a fixture directory, or the published numbers."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..config.model import PIXEL_PROFILES
from .parity_checks import LOSS_ABSOLUTE, Check, close, equal, gradients, number, same_width
from .parity_fixture import Fixture

if TYPE_CHECKING:
    from ..inference.model import Model
    from ..models.dual_encoder import DualEncoder

PUBLISHED_ABSOLUTE = 1e-3
CAT, DOG = "猫的照片", "狗的照片"
PUBLISHED_IMAGE = (
    "give --image FILE, the image 000000039769.jpg (two cats on a sofa) of COCO's val2017, "
    "on which the published numbers were computed"
)


def check_fixture(model: "Model", fixture: Fixture, network: "DualEncoder | None" = None) -> list[Check]:
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


def pair_loss(image: np.ndarray, text: np.ndarray, scale: float) -> float:
    """Symmetric InfoNCE of raw embeddings [B, D] paired row by row, in float64."""
    image, text = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (np.float64(image), np.float64(text)))
    logits = scale * image @ text.T
    total = 0.0
    for rows in (logits, logits.T):
        top = rows.max(axis=1)
        total += np.mean(top + np.log(np.exp(rows - top[:, None]).sum(axis=1)) - np.diag(rows))
    return total / 2


def gradient_norms(network: "DualEncoder", ids: np.ndarray, pixels: np.ndarray) -> dict[str, float]:
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


def check_published(model: "Model", image: str | Path) -> list[Check]:
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


def cosines(query: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """Cosines of one vector with others, float64 [len(others)]."""
    return np.array([query @ other / (np.linalg.norm(query) * np.linalg.norm(other)) for other in others])
