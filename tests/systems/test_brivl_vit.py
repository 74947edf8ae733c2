"""BriVL over the patches of a ViT: a step with boxes and with a grid, what a box sees, what it refuses."""

from dataclasses import replace

import numpy as np
import paddle
import pytest

from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.config.model import ModelConfig
from ernie_vil2.config.run import ObjectiveConfig, QueueNegatives
from ernie_vil2.conversion.convert import convert
from ernie_vil2.errors import CheckpointError, ConfigError
from ernie_vil2.systems.brivl import BriVL
from ernie_vil2.training.rig import build
from tests.gpu.steps import run_config, scene_batch
from tests.systems.brivl_tiny import tiny_model

VIT = {"kind": "vit", "image_size": 64, "patch_size": 16, "width": 32, "depth": 2, "heads": 2}


def model_config(tower=None, vocab_size=9, **settings):
    """The ModelConfig of a small BriVL over a ViT."""
    found = tiny_model({"text_tower": {"vocab_size": vocab_size}}, **settings)
    return ModelConfig.from_dict(found | {"image_tower": {**VIT, **(tower or {})}})


def network_of(**settings):
    """A network in evaluation mode."""
    paddle.seed(4)
    network = BriVL.network(model_config(**settings))
    network.eval()
    return network


@pytest.mark.parametrize("regions", ["boxes", "grid"])
def test_a_step_teaches_the_vit_and_its_head(tmp_path, regions):
    config = run_config(tmp_path, lr=1e-3, batch_size=8, micro_batch=3)
    rows = config.model.text_tower.vocab_size
    config.model = model_config({"drop_path": 0.1}, rows, regions=regions, grid=2)
    negatives = QueueNegatives(size=19, momentum=0.8)
    config.objective = ObjectiveConfig(pairs=[["image", "caption"]], negatives=negatives, positives="one")
    rig, batch = build(config), scene_batch(config)
    assert bool(batch.boxes) == (regions == "boxes")
    before = rig.weights.arrays()
    losses = [rig.step(batch, number, show=False)["loss"] for number in range(2)]
    after = rig.weights.arrays()
    rig.close()
    still = {name for name in before if np.array_equal(after[name], before[name])}
    assert np.isfinite(losses).all() and losses[0] != losses[1] and all("pooler" in name for name in still)
    assert {"visual.class_embedding", "visual.patch_embed.proj.weight", "image_head.cell_proj.weight"} <= set(after)
    assert after["image_head.cell_proj.weight"].shape == (32, 32)


def hat_shares(places, cells):
    """Share of every place of an axis in the mean of a whole image: positions of the samples worked out by hand.

    Corners 0 and n of n places give a scale n / (n - 1) and a shift 1 / (n - 1) in the coordinates from -1 to 1, and
    place p of those is (1 + p) n / 2 - 1/2.
    """
    steps = (np.arange(cells) + 0.5) * 2 / cells - 1
    positions = (1 + (places * steps + 1) / (places - 1)) * places / 2 - 0.5
    shares = np.zeros(places)
    for position in positions:  # linear between the two nearest places, and zero beyond the edge
        low = int(np.floor(position))
        for place, share in ((low, low + 1 - position), (low + 1, position - low)):
            if 0 <= place < places:
                shares[place] += share / cells
    return shares


@pytest.mark.parametrize("cells", [1, 4, 7])
def test_a_box_that_is_the_whole_image_sees_the_mean_of_its_patches(cells):
    network = network_of(cells=cells)
    pixels = paddle.to_tensor(np.random.default_rng(1).standard_normal([2, 3, 64, 64]), "float32")
    projection = network.image_head.cell_proj
    with paddle.no_grad():
        patches = network.visual.tokens(pixels)[:, 1:].numpy().astype(np.float64).reshape([2, 4, 4, 32])
        found = network.box_features(pixels, paddle.to_tensor([[[0.0, 0.0, 64.0, 64.0]]] * 2)).numpy()
    shares = hat_shares(4, cells)
    mean = sum(shares[row] * shares[column] * patches[:, row, column] for row in range(4) for column in range(4))
    wanted = mean @ projection.weight.numpy().astype(np.float64) + projection.bias.numpy()
    assert found.shape == (2, 1, 32) and np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(found[:, 0], wanted, atol=1e-5)


def test_a_box_sees_the_patches_of_its_corner():
    """Without blocks, which mix patches, what changes in a corner of the image is seen by the box of that corner."""
    network = network_of(regions="grid", grid=2)
    network.visual.blocks = paddle.nn.LayerList()
    boxes = network.default_boxes()[:-1].unsqueeze(0)
    pixels = paddle.to_tensor(np.random.default_rng(1).standard_normal([1, 3, 64, 64]), "float32")
    for number, (left, top, *_) in enumerate(boxes[0].numpy().tolist()):
        changed, column, row = pixels.clone(), 48 if left else 0, 48 if top else 0
        changed[:, :, row : row + 16, column : column + 16] += 1.0
        with paddle.no_grad():
            moved = network.box_features(changed, boxes) - network.box_features(pixels, boxes)
        assert np.flatnonzero(moved.abs().max(-1).numpy()[0] > 1e-4).tolist() == [number]


def test_patches_that_are_left_out_and_a_map_of_one_place_are_refused():
    with pytest.raises(ConfigError, match="^model.image_tower.patch_dropout is 0.5, but .*; set it to 0$"):
        BriVL.settings(model_config({"patch_dropout": 0.5}))
    with pytest.raises(
        ConfigError, match="^model.image_tower.image_size 64 gives .* one place.*; make it 128 or more$"
    ):
        BriVL.settings(model_config({"patch_size": 64}))
    assert BriVL.settings(model_config({"patch_size": 32})).cells == 4, "two patches a side are enough"
    with pytest.raises(ConfigError, match="image_heads 3 does not divide the width 32 of model.image_tower"):
        BriVL.settings(model_config(image_heads=3))


def test_an_image_tower_alone_has_boxes():
    config = replace(model_config(), text_tower=None)
    network = BriVL.network(config)
    network.eval()
    with paddle.no_grad():
        pixels = paddle.to_tensor(np.random.default_rng(1).standard_normal([1, 3, 64, 64]), "float32")
        own = network.encode_image(pixels, paddle.to_tensor([[[0.0, 0.0, 32.0, 32.0]]]), paddle.to_tensor([1]))
        assert (own - network.encode_image(pixels)).abs().max() > 1e-4


@pytest.mark.parametrize("sampling", ["release", "aligned"])
def test_samples_lie_where_the_setting_says(sampling):
    network = network_of(regions="grid", grid=2, sampling=sampling)
    pixels = paddle.to_tensor(np.random.default_rng(1).standard_normal([2, 3, 64, 64]), "float32")
    projection, boxes = network.image_head.cell_proj, network.default_boxes().unsqueeze(0).expand([2, 5, 4])
    with paddle.no_grad():
        patches = network.visual.tokens(pixels)[:, 1:].mean(1)
        whole = network.box_features(pixels, boxes)[:, -1]
        wanted = projection(patches)
    assert np.allclose(whole.numpy(), wanted.numpy(), atol=1e-5) == (sampling == "aligned")


def test_the_released_layout_has_no_place_for_a_vit(tmp_path, tiny_vocab):
    config = model_config(vocab_size=64)
    state = {key: value.numpy() for key, value in BriVL.network(config).state_dict().items()}
    save_model(tmp_path / "model", state, config, tiny_vocab)
    with pytest.raises(CheckpointError, match="an efficientnet as its image tower, and this model a vit; keep"):
        convert(tmp_path / "model", tmp_path / "back.pth", to="brivl")
    assert not (tmp_path / "back.pth").exists()


def test_a_directory_from_before_the_setting_samples_as_the_release():
    """And one that samples so can be read by what does not know the setting."""
    old, new = model_config(), model_config(sampling="aligned")
    told = old.to_dict()
    assert "sampling" not in told["settings"] and new.to_dict()["settings"]["sampling"] == "aligned"
    assert ModelConfig.from_dict(told) == old and BriVL.settings(old).sampling == "release"
    assert not BriVL.network(ModelConfig.from_dict(told)).aligned and BriVL.network(new).aligned
    assert ModelConfig.from_dict({**told, "settings": {**told["settings"], "sampling": "release"}}) == old
