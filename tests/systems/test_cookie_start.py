"""What a COOKIE starts from: towers of ERNIE and ViT, or another COOKIE; what its directories become."""

from dataclasses import replace

import numpy as np
import paddle
import pytest
import yaml

from ernie_vil2.checkpoints.interpolate import interpolate
from ernie_vil2.checkpoints.model_directory import open_model, save_model
from ernie_vil2.config.load import load_run
from ernie_vil2.config.model import ModelConfig
from ernie_vil2.conversion.convert import TARGETS, convert
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.errors import CheckpointError, ConfigError
from ernie_vil2.inference.model import load
from ernie_vil2.models.dual_encoder import DualEncoder, new_model
from ernie_vil2.models.positions import resize_grid
from ernie_vil2.systems.cookie import Cookie
from ernie_vil2.training.setup.initial_weights import check_init, start_system
from tests.checkpoints.formats.torch_zips import state_file
from tests.checkpoints.layouts import foreign, test_clip, test_paddleclas_vit
from tests.conftest import VOCABULARY
from tests.systems.cookie_tiny import PAIRS, SETTINGS, model_config

OWN = ("shared.", "image_proj.", "text_proj.")
GRID = "visual.positional_embedding"
MODEL = {"system": "cookie", "settings": SETTINGS, "max_length": 32, "image_tower": {"projection": 0}}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """The folder with converted towers: `paddlenlp` and `ernie` of texts, `vit` and `clip` of images."""
    folder = tmp_path_factory.mktemp("start")
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in VOCABULARY), encoding="utf-8")
    torch_settings = foreign.SETTINGS | {"layer_norm_eps": 1e-5, "use_task_id": True}
    for name, state, settings, file in (
        ("paddlenlp", foreign.paddle_ernie(), foreign.SETTINGS, "model_state.pdparams"),
        ("ernie", foreign.torch_bert("ernie.", tasks=3), torch_settings, "model.safetensors"),
    ):
        source = foreign.write_source(folder / "sources" / name, state, settings, file)
        convert(source, folder / name)
    vit = {key: 0.3 * value for key, value in test_paddleclas_vit.drawn(test_paddleclas_vit.shapes()).items()}
    clip = {key: 0.3 * value for key, value in test_clip.drawn(test_clip.torch_shapes(prefix="")).items()}
    foreign.write_source(folder / "sources/vit", vit, None, "ViT.pdparams")
    (folder / "sources/clip.pt").write_bytes(state_file(clip))
    convert(folder / "sources/vit/ViT.pdparams", folder / "vit", check=False)
    convert(folder / "sources/clip.pt", folder / "clip", check=False)
    return folder


def run_of(folder, init, model=MODEL):
    """The RunConfig of a recipe with this `init`, read from a file."""
    data = {"output": str(folder / "run"), "data": {"train": "x"}, "objective": {"pairs": PAIRS}}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**data, "init": init, "model": model}), encoding="utf-8")
    return load_run(path)


def started(folder, init, model=MODEL):
    """(network, notes) of a run with this `init`."""
    config = run_of(folder, init, model)
    vocab = open_model(init.get("text") or init["model"])[2]
    notes = check_init(config, Tokenizer(vocab, config.model.max_length))
    return start_system(config, notes).model, notes


def arrays(network):
    return {key: value.numpy() for key, value in network.state_dict().items()}


@pytest.mark.parametrize("text, image", [("paddlenlp", "vit"), ("ernie", "clip")])
def test_towers_of_ernie_and_vit_are_its_encoders(house, text, image):
    network, notes = started(house, {"text": str(house / text), "image": str(house / image)})
    assert [note for note in notes if "projection" in note] == [note for note in notes if image == "clip"]
    state, left = arrays(network), {"visual.proj.weight"} if image == "clip" else set()
    for name in (text, image):
        held = dict(open_model(house / name)[0])
        assert len(held) >= 30 and {key for key in held if key not in state} <= left
        for key in held.keys() - left:
            assert np.array_equal(state[key], held[key]), key
    assert network.image_proj.weight.shape == [64, 24] and network.text_proj.weight.shape == [32, 24]
    network.eval()
    ids = paddle.to_tensor([[1, 9, 12, 30, 2], [1, 8, 2, 0, 0]])
    pixels = paddle.to_tensor(np.random.default_rng(2).standard_normal([2, 3, 32, 32]), "float32")
    source, pictures = load(house / text).network, load(house / image).network.visual
    source.eval(), pictures.eval()
    with paddle.no_grad():
        assert np.array_equal(network.text_model.tokens(ids).numpy(), source.text_model.tokens(ids).numpy())
        class_token = network.visual.tokens(pixels)[:, 0]
        wanted = pictures(pixels).numpy()
        found = class_token if pictures.proj is None else pictures.proj(class_token)
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-5)


def test_an_encoder_that_computes_otherwise_is_refused(house):
    model = {**MODEL, "text_tower": {"activation": "relu"}}
    config = run_of(house, {"text": str(house / "ernie"), "image": str(house / "vit")}, model)
    with pytest.raises(ConfigError, match="text_tower.activation is gelu in .* and relu here; make them equal$"):
        check_init(config, Tokenizer(house / "vocab.txt", 32))


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    """The folder with `cookie` and `other`, of one shape, and `plain`, a dual encoder of the same towers."""
    folder = tmp_path_factory.mktemp("directories")
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in VOCABULARY), encoding="utf-8")
    config = model_config(dropout=0.0)
    for name, seed, kind in (("cookie", 1, Cookie.network), ("other", 2, Cookie.network), ("plain", 3, DualEncoder)):
        held = config if name != "plain" else replace(config, system="ernie_vil2", settings={})
        state = arrays(new_model(held, seed=seed, network=kind))
        save_model(folder / name, state, held, folder / "vocab.txt")
    return folder


def test_a_run_goes_on_from_the_shared_layers_of_another(directories):
    network, notes = started(directories, {"model": str(directories / "cookie")}, {})
    held, state = dict(open_model(directories / "cookie")[0]), arrays(network)
    temperature = "contrastive_loss_mm.temperature_b"
    others = {key for key in state if key.startswith("contrastive")} - {temperature}
    assert notes == [] and set(state) - set(held) == others
    assert all(np.array_equal(state[key], value) for key, value in held.items())
    assert any(key.startswith("shared.") for key in held)


def test_it_goes_on_at_another_size_of_images(directories):
    model = {"image_tower": {"image_size": 48}, "pixels": {"size": 48}, "settings": {"dropout": 0.3}}
    network, _ = started(directories, {"model": str(directories / "cookie")}, model)
    held, state = dict(open_model(directories / "cookie")[0]), arrays(network)
    assert state[GRID].shape == (1, 37, 32) and np.array_equal(state[GRID], resize_grid(held[GRID], 37))
    assert all(np.array_equal(state[key], held[key]) for key in held if key != GRID)
    assert network.shared[0].dropout.p == 0.3


def test_shared_layers_of_another_size_are_one_sentence(directories):
    with pytest.raises(
        ConfigError, match=r"^init.model: .*shared.0.fc1.weight is \[24, 40\] there and \[24, 16\] here"
    ):
        started(directories, {"model": str(directories / "cookie")}, {"settings": {"feed_forward": 16}})


def test_from_a_dual_encoder_the_shared_layers_start_at_random_and_that_is_said(directories):
    network, notes = started(
        directories, {"model": str(directories / "plain")}, {"system": "cookie", "settings": SETTINGS}
    )
    (note,) = (note for note in notes if "start at random" in note)
    assert all(name in note for name in ("shared.0.qkv.weight", "image_proj.bias", "text_proj.weight"))
    held, state = dict(open_model(directories / "plain")[0]), arrays(network)
    assert all(np.array_equal(state[key], value) for key, value in held.items())


def test_adapters_are_refused_where_the_shared_layers_would_stay_at_random(directories):
    config = run_of(directories, {"model": str(directories / "plain")}, {"system": "cookie", "settings": SETTINGS})
    config.lora.rank = 2
    with pytest.raises(ConfigError, match="with lora they would stay so; give init.text and init.image instead$"):
        start_system(config, [])


@pytest.mark.parametrize("to", [name for name in TARGETS if name != "model-dir"])
def test_no_other_layout_has_a_place_for_it(directories, tmp_path, to):
    with pytest.raises(ConfigError) as caught:
        convert(directories / "cookie", tmp_path / "out", to=to)
    said = str(caught.value)
    assert f"is of the system cookie, whose layers the layout {to} has no place for" in said and "\n" not in said
    assert list(tmp_path.iterdir()) == []


def test_a_copy_of_its_directory_is_checked_and_the_same(directories, tmp_path, assert_same_bits):
    lines = convert(directories / "cookie", tmp_path / "copy", to="model-dir")
    assert any(line.startswith("check: text embeddings differ by at most 0") for line in lines)
    copied, original = (open_model(path) for path in (tmp_path / "copy", directories / "cookie"))
    assert copied[1] == original[1]
    assert_same_bits(dict(copied[0]), dict(original[0]))


def test_between_two_of_one_shape_shared_layers_are_between_too(directories, tmp_path):
    interpolate(directories / "cookie", directories / "other", tmp_path / "between", 0.25)
    first, second = (dict(open_model(directories / name)[0]) for name in ("cookie", "other"))
    found, config, _ = open_model(tmp_path / "between")
    assert config.system == "cookie" and set(found) == set(first)
    for key in found:
        np.testing.assert_allclose(found[key], 0.75 * first[key] + 0.25 * second[key], atol=1e-6, err_msg=key)
    assert not np.allclose(found["shared.1.fc2.weight"], first["shared.1.fc2.weight"], atol=1e-3)
    assert load(tmp_path / "between").encode_text("一只猫").shape == (1, 24)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"pooling": "first"}, r"settings.pooling \(mean and first\)"),
        ({"heads": 4}, r"settings.heads \(3 and 4\)"),
    ],
)
def test_settings_that_change_an_inference_are_told_apart(directories, tmp_path, change, said):
    config = model_config(**{"pooling": "mean", "dropout": 0.0, **change})
    save_model(tmp_path / "other", dict(open_model(directories / "other")[0]), config, directories / "vocab.txt")
    ours = model_config(pooling="mean")  # dropout acts in training only
    save_model(tmp_path / "ours", dict(open_model(directories / "cookie")[0]), ours, directories / "vocab.txt")
    with pytest.raises(ConfigError, match=f"differ in {said}, so there is nothing between them"):
        interpolate(tmp_path / "ours", tmp_path / "other", tmp_path / "none")


def test_a_directory_whose_settings_do_not_fit_its_weights_is_one_sentence(directories, tmp_path):
    state, config, vocab = open_model(directories / "cookie")
    wrong = ModelConfig.from_dict(config.to_dict() | {"settings": {**config.settings, "layers": 3}})
    save_model(tmp_path / "wrong", dict(state), wrong, vocab)
    with pytest.raises(CheckpointError, match="shared.2.qkv.weight is missing") as caught:
        load(tmp_path / "wrong")
    assert "\n" not in str(caught.value)
