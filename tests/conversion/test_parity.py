"""The parity table on a tiny model and a fixture that is computed here, layer by layer, without the encoder."""

import json

import numpy as np
import pytest
from PIL import Image

import ernie_vil2
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.cli import parity as tool
from ernie_vil2.config.model import ModelConfig
from ernie_vil2.conversion.parity import check_published, gradient_norms, pair_loss
from ernie_vil2.conversion.parity_checks import close
from ernie_vil2.conversion.parity_fixture import read_fixture
from ernie_vil2.data.images.decode import decode
from ernie_vil2.data.images.pixels import normalise
from ernie_vil2.data.images.resize import crop
from ernie_vil2.errors import DataError

CONFIG = {
    "image_tower": {"image_size": 32, "patch_size": 16, "width": 16, "depth": 2, "heads": 2},
    "text_tower": {"vocab_size": 40, "positions": 16, "width": 16, "depth": 2, "heads": 2},
    "max_length": 10,
    "pixels": {"size": 32},
}
TEXTS = ["红猫", "一只蓝狗坐", "狗", "红红红红红红红红红红红红", "没见过"]
TOKENS = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", *"一只红蓝猫狗坐", "[UNK]"]
CHECKS = ["tokens", "pixels", "text", "image", "loss", "logit scale", "gradients"]


def token_ids(text):
    """One piece per character, which is all that WordPiece does with these texts."""
    pieces = [TOKENS.index(character) if character in TOKENS else TOKENS.index("[UNK]") for character in text]
    ids = [1, *pieces[:8], 2]
    return ids + [0] * (10 - len(ids))


def slow_loss(image, text, scale):
    """Symmetric InfoNCE with loops."""

    def unit(row):
        return row / np.sqrt((row * row).sum())

    logits = [[scale * float(unit(a) @ unit(b)) for b in text] for a in image]
    count, total = len(logits), 0.0
    for matrix in (logits, list(zip(*logits, strict=True))):
        total += sum(-np.log(np.exp(row[i]) / sum(np.exp(value) for value in row)) for i, row in enumerate(matrix))
    return total / (2 * count)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """(model directory, fixture directory, the network, its ids [5, 10] and pixels [3, 3, 32, 32])."""
    import paddle

    from ernie_vil2.models.dual_encoder import new_model

    root = tmp_path_factory.mktemp("parity")
    config = ModelConfig.from_dict(CONFIG)
    network = new_model(config, seed=3)
    for parameter in network.parameters():
        if parameter.ndim >= 2:
            parameter.set_value(parameter * 8)
    network.eval()
    vocab, folder = root / "vocab.txt", root / "fixture"
    vocab.write_text("".join(f"{token}\t{index}\n" for index, token in enumerate(TOKENS)), encoding="utf-8")
    save_model(root / "model", {key: value.numpy() for key, value in network.state_dict().items()}, config, vocab)

    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index, shape in enumerate([(40, 64, 3), (90, 33, 3), (32, 32, 3)]):
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(folder / "images" / f"{index}.png")
    (folder / "texts.json").write_text(json.dumps(TEXTS), encoding="utf-8")
    paths = sorted((folder / "images").iterdir())
    crops = np.stack([crop(decode(path, config.pixels), config.pixels) for path in paths])
    ids, pixels = np.array([token_ids(text) for text in TEXTS]), normalise(crops, config.pixels)
    image = network.encode_image(paddle.to_tensor(pixels))
    text = network.encode_text(paddle.to_tensor(ids))
    np.savez(
        folder / "expected.npz",
        input_ids=ids.astype(np.int32),
        crops=crops,
        text_embeds=text.numpy(),
        image_embeds=image.numpy(),
        logit_scale=np.float32(network.logit_scale().item()),
        pair_loss=slow_loss(image.numpy(), text.numpy()[:3], network.logit_scale().item()),
    )

    unit = [rows / (rows * rows).sum(axis=1, keepdim=True).sqrt() for rows in (image, text[:3])]
    logits = network.logit_scale() * unit[0] @ unit[1].t()
    both = [paddle.logsumexp(matrix, axis=1).mean() for matrix in (logits, logits.t())]
    ((both[0] + both[1]) / 2 - paddle.diag(logits).mean()).backward()
    norms = {
        key: float((value.grad.numpy().astype(np.float64) ** 2).sum() ** 0.5)
        for key, value in network.named_parameters()
    }
    network.clear_gradients()
    (folder / "gradients.json").write_text(json.dumps({"grad_norms": norms}))
    return root / "model", folder, network, ids, pixels


@pytest.fixture
def changed(house, tmp_path):
    """A copy of the fixture in which one array or norm is changed."""

    def change(name, function):
        target = tmp_path / "changed"
        target.mkdir()
        for item in ("images", "texts.json"):
            (target / item).symlink_to(house[1] / item)
        norms = json.loads((house[1] / "gradients.json").read_text())["grad_norms"]
        arrays = dict(np.load(house[1] / "expected.npz"))
        if name in norms:
            norms[name] = function(norms[name])
        else:
            arrays[name] = function(arrays[name])
        np.savez(target / "expected.npz", **arrays)
        (target / "gradients.json").write_text(json.dumps({"grad_norms": norms}))
        return target

    return change


def statuses(printed):
    """{check: pass or FAIL} of a printed table."""
    lines = printed.splitlines()[1:]
    return {next(name for name in CHECKS if line.startswith(name + "  ")): line.split()[-1] for line in lines}


def bump(position, amount):
    def function(array):
        array = array.copy()
        array[position] += np.asarray(amount).astype(array.dtype)
        return array

    return function


def test_everything_passes(house, capsys):
    assert tool.main([str(house[0]), "--fixture", str(house[1])]) == 0
    assert statuses(capsys.readouterr().out) == dict.fromkeys(CHECKS, "pass")
    assert tool.main([str(house[0]), "--fixture", str(house[1]), "--no-gradients"]) == 0
    assert statuses(capsys.readouterr().out) == dict.fromkeys(CHECKS[:-1], "pass")


QUERY, KEY = (f"text_model.encoder_stack.block.0.attn.{part}" for part in ("q.weight", "k.bias"))


@pytest.mark.parametrize(
    "name, function, fails",
    [
        ("input_ids", bump((2, 1), 1), "tokens"),
        ("crops", bump((1, 5, 6, 2), 1), "pixels"),
        ("text_embeds", bump((4, 3), 2e-4), "text"),
        ("text_embeds", bump((4, 3), 5e-5), None),
        ("text_embeds", bump((0, 0), np.nan), "text"),
        ("image_embeds", bump((2, 15), -2e-4), "image"),
        ("pair_loss", lambda value: value + 2e-5, "loss"),
        ("pair_loss", lambda value: value - 5e-6, None),
        ("logit_scale", lambda value: value + np.float32(1e-3), "logit scale"),
        (QUERY, lambda value: value * 1.002, "gradients"),
        (QUERY, lambda value: value * 0.9995, None),
        (QUERY, lambda value: float("nan"), "gradients"),
        (KEY, lambda value: 1.0, None),
    ],
)
def test_the_changed_line_fails_alone(house, changed, capsys, name, function, fails):
    status = tool.main([str(house[0]), "--fixture", str(changed(name, function))])
    found = statuses(capsys.readouterr().out)
    assert [check for check in CHECKS if found[check] != "pass"] == ([fails] if fails else [])
    assert status == (1 if fails else 0)


def test_small_embeddings_must_point_the_same_way():
    """Below the absolute bound everything would pass, but for the cosine."""
    wanted = np.array([[1e-5, 0.0], [0.0, 1e-5]], np.float32)
    assert not close("text", wanted, wanted[::-1], ["a", "b"]).passed
    assert close("text", wanted, wanted * 2, ["a", "b"]).passed


def test_a_parameter_without_gradient_or_name_fails(house, changed, capsys):
    folder = changed("pair_loss", lambda value: value)
    norms = json.loads((folder / "gradients.json").read_text())["grad_norms"]
    (folder / "gradients.json").write_text(json.dumps({"grad_norms": {**norms, "visual.unknown.weight": 1.0}}))
    assert tool.main([str(house[0]), "--fixture", str(folder)]) == 1
    assert "at visual.unknown.weight" in capsys.readouterr().out


def test_temperature_gradient_is_the_slope_of_the_loss(house):
    network, ids, pixels = house[2:]
    expected = read_fixture(house[1]).expected
    image, text, scale = expected["image_embeds"], expected["text_embeds"][:3], float(expected["logit_scale"])
    step = 1e-5
    slope = (pair_loss(image, text, scale * np.exp(step)) - pair_loss(image, text, scale * np.exp(-step))) / (2 * step)
    got = gradient_norms(network, ids[:3], pixels)["contrastive_loss_mm.temperature_b"]
    assert got == pytest.approx(abs(slope), rel=1e-4)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_vocabulary_of_the_fixture_serves_a_bare_checkpoint(house, tmp_path, changed, capsys):
    from ernie_vil2.checkpoints.formats.paddle_file import write_pdparams

    write_pdparams(tmp_path / "bare.pdparams", {key: value.numpy() for key, value in house[2].state_dict().items()})
    folder = changed("pair_loss", lambda value: value)
    (folder / "vocab.txt").write_bytes((house[0] / "vocab.txt").read_bytes())
    tool.main([str(tmp_path / "bare.pdparams"), "--fixture", str(folder), "--no-gradients"])
    assert "tokens" in capsys.readouterr().out


def test_published_needs_the_image(house, capsys):
    with pytest.raises(DataError, match="000000039769"):
        tool.main(["--published", str(house[0])])
    with pytest.raises(SystemExit):
        tool.main([str(house[0])])


def test_published_uses_bicubic_pixels_and_puts_the_profile_back(house):
    model = ernie_vil2.load(house[0])
    path = house[1] / "images" / "0.png"
    before, official = model.config.pixels, model.encode_image(path, normalize=False)[0]
    checks = check_published(model, path)
    assert not any(check.passed for check in checks) and len(checks) == 6
    shown = next(check.got for check in checks if check.name == "image begins")
    assert np.abs(np.array(shown.split(), float) - official[:5]).max() > 1e-4
    assert model.config.pixels == before
    assert np.array_equal(model.encode_image(path, normalize=False)[0], official)


@pytest.mark.parametrize(
    "name, damage, words",
    [
        ("expected.npz", lambda path: path.write_bytes(path.read_bytes()[:100]), "cannot be read"),
        ("expected.npz", lambda path: np.savez(path, crops=np.zeros(1)), "lacks input_ids"),
        (
            "texts.json",
            lambda path: (path.unlink(), path.write_text('["one"]')),
            "input_ids has 5 rows but texts.json 1",
        ),
        ("texts.json", lambda path: path.unlink(), "cannot be read"),
        ("gradients.json", lambda path: path.write_text("{}"), "cannot be read"),
    ],
)
def test_broken_fixture(changed, name, damage, words):
    folder = changed("pair_loss", lambda value: value)
    damage(folder / name)
    with pytest.raises(DataError) as caught:
        read_fixture(folder)
    assert words in str(caught.value)


def test_missing_fixture(tmp_path):
    with pytest.raises(DataError, match="no fixture directory"):
        read_fixture(tmp_path / "nothing")
