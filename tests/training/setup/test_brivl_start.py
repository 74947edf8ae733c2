"""What a BriVL starts from: towers of timm and Hugging Face, or a released model with its twins."""

import numpy as np
import pytest
import yaml

from ernie_vil2.checkpoints.model_directory import open_model, save_model
from ernie_vil2.config.load import load_run
from ernie_vil2.conversion.convert import convert
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.errors import ConfigError
from ernie_vil2.objectives.gather import divide
from ernie_vil2.training.distributed import Ranks
from ernie_vil2.training.rig import Rig
from ernie_vil2.training.setup.initial_weights import check_init, start_system
from tests.checkpoints.formats.torch_zips import state_file
from tests.checkpoints.layouts import brivl_weights as small
from tests.conftest import VOCABULARY
from tests.systems import brivl_tiny

SIZES = {"embed_dim": 16, "hidden": 24, "feed_forward": 40, "layers": 2}
MODEL = {
    "system": "brivl",
    "settings": SIZES,
    "max_length": 12,
    "fixed_length": True,
    "pixels": brivl_tiny.PIXELS,
    "image_tower": {**brivl_tiny.IMAGE_TOWER, "depth_factor": 0.6, "norm_variance": "unbiased"},
    "text_tower": {
        "vocab_size": small.ROWS,
        "positions": small.POSITIONS,
        "width": small.BERT,
        "depth": small.DEPTH,
        "heads": 4,
        "mlp_ratio": 2.0,
        "epsilon": 1e-12,
    },
}
OBJECTIVE = {
    "pairs": [["image", "caption"]],
    "negatives": {"kind": "queue", "size": 12, "momentum": 0.99},
    "positives": "one",
    "temperature": 0.07,
}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """The folder with vocab.txt, the towers `timm` and `bert`, and the models `brivl` and `plain`, without twins."""
    folder, state = tmp_path_factory.mktemp("start"), small.released()
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in VOCABULARY), encoding="utf-8")
    for name, front in (("timm", "imgencoder.backbone."), ("bert", "textencoder.backbone.")):
        part = {key.removeprefix(front): value for key, value in state.items() if key.startswith(front)}
        (folder / f"{name}.pth").write_bytes(state_file(part))
    (folder / "brivl.pth").write_bytes(state_file(state))
    vocab = folder / "vocab.txt"
    convert(folder / "timm.pth", folder / "timm", options={"pixels": "brivl"}, check=False)
    convert(folder / "bert.pth", folder / "bert", vocab=vocab, options={"heads": 4}, check=False)
    convert(folder / "brivl.pth", folder / "brivl", vocab=vocab, options=small.OPTIONS, check=False)
    without = small.OPTIONS | {"twins": False}
    convert(folder / "brivl.pth", folder / "plain", vocab=vocab, options=without, check=False)
    return folder


def run_of(folder, init, **changes):
    """The RunConfig of a recipe with `init`, read from a file; changes: overrides of its model, or model=False."""
    data = {"output": str(folder / "run"), "objective": OBJECTIVE, "data": {"train": "x"}}
    data |= {"init": init, "model": MODEL, "train": {"batch_size": 4, "steps": 400}}
    if changes.pop("model", True) is False:
        del data["model"]
    (folder / "recipe.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    return load_run(folder / "recipe.yaml", [f"model.{key}={value}" for key, value in changes.items()])


def arrays_of(layer):
    return {key: value.numpy() for key, value in layer.state_dict().items()}


def same(found, wanted, front=""):
    """Whether every array of `wanted` {key: array} is under `front` and its key, bit for bit."""
    return all(np.array_equal(found[front + key], value) for key, value in wanted.items())


def test_towers_of_timm_and_hugging_face_start_a_run(house):
    """Their token types are in the positions, so the run has none."""
    config = run_of(house, {"image": str(house / "timm"), "text": str(house / "bert")})
    assert check_init(config, Tokenizer(house / "vocab.txt", 12)) == []
    held = {name: dict(open_model(house / name)[0]) for name in ("timm", "bert")}
    network = start_system(config, []).model
    state = arrays_of(network)
    assert same(state, held["timm"]) and same(state, held["bert"])
    assert len(held["timm"]) + len(held["bert"]) == sum(key.startswith(("visual.", "text_model.")) for key in state)
    released, text = small.released(), "textencoder.backbone.bert.embeddings."
    types = released[f"{text}token_type_embeddings.weight"][0]
    summed = released[f"{text}position_embeddings.weight"] + types
    assert np.allclose(state["text_model.pos_emb.weight"], summed, atol=1e-7) and abs(types).max() > 0.1


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("text_tower.epsilon", 1e-5, "text_tower.epsilon is 1e-12"),
        ("text_tower.token_types", 2, "text_tower.token_types is 0 .* and 2 here"),
        ("image_tower.padding", "dynamic", "image_tower.padding is same"),
        ("image_tower.width_factor", 0.11, "image_tower.width_factor is 0.1 "),
        ("pixels.mean", [0.5, 0.5, 0.5], "pixels.mean is"),
    ],
)
def test_a_run_that_reads_or_computes_otherwise_is_refused(house, key, value, said):
    config = run_of(house, {"image": str(house / "timm"), "text": str(house / "bert")}, **{key: value})
    with pytest.raises(ConfigError, match=f"init does not fit model: .*{said}"):
        check_init(config, Tokenizer(house / "vocab.txt", 12))


def rig_of(house, name, fresh=True):
    """(rig of a run that starts from a model, the notes on it)."""
    config, notes = run_of(house, {"model": str(house / name)}, model=False), []
    assert check_init(config, Tokenizer(house / "vocab.txt", 12)) == []
    return Rig(config, Ranks(), divide(4, 0), notes, fresh), notes


def test_the_copy_of_a_released_model_starts_from_its_twins(house):
    rig, notes = rig_of(house, "brivl")
    rig.close()
    held = dict(open_model(house / "brivl")[0])
    copy, model = rig.momentum.state(), arrays_of(rig.model)
    twins = {key.removeprefix("momentum."): value for key, value in held.items() if key.startswith("momentum.")}
    assert len(twins) > 200 and same(copy, twins) and same(model, {key: held[key] for key in twins})
    assert set(copy) - set(twins) == {"contrastive_loss_mm.temperature_b"}
    assert not any(np.array_equal(twins[key], held[key]) for key in twins if "weight" in key)
    assert notes == [f"the copy that encodes keys starts from the {len(twins)} tensors of one in {house / 'brivl'}"]


def test_without_twins_and_where_a_checkpoint_comes_next_it_starts_from_the_model(house):
    for name, fresh in (("plain", True), ("brivl", False)):
        rig, notes = rig_of(house, name, fresh)
        rig.close()
        assert same(rig.momentum.state(), arrays_of(rig.model)) and notes == []


def test_another_fixed_length_than_that_of_the_weights_is_noted(house):
    config = run_of(house, {"model": str(house / "plain")}, model=False)
    config.model.max_length -= 1
    (note,) = check_init(config, Tokenizer(house / "vocab.txt", 12))
    assert "their embeddings depend on it" in note and str(config.model.max_length) in note


def test_twins_of_another_size_are_one_sentence(house, tmp_path):
    state, config, vocab = open_model(house / "brivl")
    wrong = dict(state) | {"momentum.image_head.fc2.bias": np.zeros(3, np.float32)}
    save_model(tmp_path / "wrong", wrong, config, vocab)
    (tmp_path / "vocab.txt").write_bytes(vocab.read_bytes())
    with pytest.raises(ConfigError, match=r"the momentum copy of .*fc2.bias is \[3\] there and \[16\] here; make"):
        rig_of(tmp_path, "wrong")
