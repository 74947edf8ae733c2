"""Towers that PaddleClas and PaddleNLP build: their own outputs, their weights, a model directory, a training run."""

import json

import numpy as np
import paddle
import pytest
from paddlenlp.transformers import BertConfig, BertModel, ErnieConfig, ErnieForMaskedLM, ErnieModel

import ernie_vil2
from ernie_vil2.checkpoints.libraries.importing import INSTALL
from ernie_vil2.checkpoints.libraries.paddleclas import architecture
from ernie_vil2.checkpoints.libraries.paddleclas import published_weights as published_backbone
from ernie_vil2.checkpoints.libraries.paddlenlp import look_up
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.config.load import load_run
from ernie_vil2.config.model import ModelConfig, PixelProfile
from ernie_vil2.config.optimizer import OptimizerConfig
from ernie_vil2.config.run import DataConfig, RunConfig, TrainConfig
from ernie_vil2.config.tower_fields import PaddleClasConfig, PaddleNLPConfig
from ernie_vil2.data.sources.scenes.vocabulary import build_vocab
from ernie_vil2.errors import CheckpointError, ConfigError
from ernie_vil2.models.dual_encoder import DualEncoder, layer_of, new_model
from ernie_vil2.objectives.gather import divide
from ernie_vil2.training.optimization.parameter_groups import layer_factors
from ernie_vil2.training.setup.initial_weights import start_system
from ernie_vil2.training.setup.preflight import check_towers
from ernie_vil2.training.trainer import Trainer
from tests.training import runs

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 64,
    "max_position_embeddings": 32,
    "type_vocab_size": 2,
}
WIDTHS = {
    "ResNet50": 2048,
    "MobileNetV3_small_x1_0": 1280,
    "PPLCNet_x0_25": 1280,
    "EfficientNetB0": 1280,
    "SwinTransformer_tiny_patch4_window7_224": 768,
    "SqueezeNet1_0": 512,
}


def paddleclas(name="PPLCNet_x0_25", **changes):
    sizes = {"width": WIDTHS[name], "projection": 32, "image_size": 32}
    return PaddleClasConfig(**{"paddleclas": name, **sizes, **changes})


def paddlenlp(**changes):
    settings = {**SMALL, "architectures": ["ErnieModel"]}
    sizes = {"vocab_size": 64, "positions": 32, "width": 32}
    return PaddleNLPConfig(**{"paddlenlp": "small", "settings": settings, **sizes, **changes})


def theirs_of(config):
    """PaddleClas's own model in evaluation, with 1000 classes."""
    with paddle.utils.unique_name.guard():
        model = architecture(config.paddleclas)()
    model.eval()
    return model


def before_classifier(model, pixels):
    """What the last layer with 1000 outputs is given in a forward pass, [B, width]."""
    last = [layer for layer in model.sublayers() if list(getattr(layer, "weight", paddle.zeros([1])).shape)[-1] == 1000]
    seen = []
    last[-1].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    model(pixels)
    return seen[0].numpy()


@pytest.mark.parametrize("name", [name for name in WIDTHS if name != "SqueezeNet1_0"])
def test_a_backbone_gives_what_its_classifier_would_be_given(name):
    config = paddleclas(name, image_size=224, projection=0)
    theirs = theirs_of(config)
    for key, value in theirs.state_dict().items():
        if key.endswith("_mean"):
            value.set_value(paddle.rand(value.shape) * 0.1)
    tower = layer_of(config)
    tower.backbone.set_state_dict(theirs.state_dict())
    pixels = paddle.rand([2, 3, 224, 224])
    wanted = before_classifier(theirs, pixels)
    assert np.abs(wanted).max() > 1e-2
    tower.eval()
    np.testing.assert_allclose(tower(pixels).numpy(), wanted, atol=1e-4)
    if name == "ResNet50":  # nothing in it is random: training with frozen statistics is evaluation
        tower.train()
        np.testing.assert_allclose(tower(pixels).numpy(), wanted, atol=1e-4)


def test_a_classifier_that_is_a_convolution_is_left_out_too():
    assert layer_of(paddleclas("SqueezeNet1_0", image_size=64))(paddle.rand([2, 3, 64, 64])).shape == [2, 32]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"name": "ResNet50", "width": 1}, "set width: 2048"),
        ({"name": "ResNet50", "paddleclas": "Resnet50"}, "did you mean 'ResNet50'"),
        ({"name": "ResNet50", "paddleclas": "DeiT_tiny_distilled_patch16_224"}, "2 classifiers and not 1"),
        ({"drop_path": 0.1}, "no stochastic depth"),
    ],
)
def test_what_a_backbone_cannot_be_is_a_sentence(changes, words):
    with pytest.raises(ConfigError, match=words):
        layer_of(paddleclas(**changes))


def test_stochastic_depth_is_as_configured_and_not_as_the_architecture_has_it():
    name = "SwinTransformer_tiny_patch4_window7_224"
    for rate in (0.0, 0.3):
        tower = layer_of(paddleclas(name, image_size=224, drop_path=rate))
        rates = [layer.drop_prob for layer in tower.backbone.sublayers() if type(layer).__name__ == "DropPath"]
        assert max(rates) == pytest.approx(rate) and rates == sorted(rates)


def test_an_encoder_gives_its_pooled_token():
    for ours, config_class, model_class in (("Ernie", ErnieConfig, ErnieModel), ("Bert", BertConfig, BertModel)):
        theirs = model_class(config_class(**SMALL))
        tower = layer_of(paddlenlp(settings={**SMALL, "architectures": [f"{ours}ForMaskedLM"]}))
        tower.encoder.set_state_dict(theirs.state_dict())
        theirs.eval()
        tower.eval()
        ids = paddle.to_tensor([[1, 5, 6, 2], [1, 7, 2, 0]])
        wanted = theirs(ids)[1].numpy()
        np.testing.assert_allclose(tower(ids).numpy(), wanted, atol=1e-6)
        padded = paddle.concat([ids, paddle.zeros([2, 3], "int64")], axis=1)
        np.testing.assert_allclose(tower(padded).numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("name, masked", [("Albert", True), ("Roberta", False), ("Electra", False), ("ErnieM", False)])
def test_other_encoders_work_and_padding_changes_nothing(name, masked):
    tower = layer_of(paddlenlp(settings={**SMALL, "architectures": [f"{name}Model"], "pad_token_id": 0}))
    tower.eval()
    assert tower.masked == masked
    ids = paddle.to_tensor([[1, 5, 6, 2], [1, 7, 2, 0]])
    padded = paddle.concat([ids, paddle.zeros([2, 3], "int64")], axis=1)
    np.testing.assert_allclose(tower(padded).numpy(), tower(ids).numpy(), atol=1e-5)


def test_the_name_of_the_issue_is_known_without_a_network():
    config = PaddleNLPConfig(paddlenlp="ernie-3.0-base-zh")
    settings = look_up(config)
    assert settings is config.settings and settings["architectures"] == ["ErnieModel"]
    assert (settings["hidden_size"], settings["vocab_size"], settings["max_position_embeddings"]) == (768, 40000, 2048)
    json.dumps(settings)
    tower = layer_of(config)
    tower.eval()
    assert tower(paddle.to_tensor([[1, 39000, 2]])).shape == [1, 768], "the defaults are those of this encoder"


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"width": 64}, "set width: 32"),
        ({"positions": 512, "vocab_size": 9}, "vocab_size: 64.*positions: 32"),
        ({"settings": {**SMALL, "architectures": ["GPTModel"], "pad_token_id": 0}}, "does not see later tokens"),
        ({"settings": {**SMALL, "architectures": ["T5Model"], "pad_token_id": 0}}, "cannot encode texts alone"),
        ({"settings": {**SMALL, "architectures": ["os.system"]}}, "no encoder of PaddleNLP"),
        ({"settings": {**SMALL, "architectures": ["BertModel"], "pad_token_id": 1}}, "pads with token 1"),
    ],
)
def test_what_an_encoder_cannot_be_is_a_sentence(changes, words):
    with pytest.raises(ConfigError, match=words):
        layer_of(paddlenlp(**changes))


def small_model():
    return ModelConfig(
        image_tower=paddleclas(), text_tower=paddlenlp(projection=32), max_length=16, pixels=PixelProfile(size=32)
    )


def test_random_starts_depend_on_the_seed_alone():
    one, two, other = (new_model(small_model(), seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(np.array_equal(one[key].numpy(), two[key].numpy()) for key in one)
    different = [key for key in one if not np.array_equal(one[key].numpy(), other[key].numpy())]
    assert {key.split(".")[1] for key in different} >= {"backbone", "encoder", "proj"}
    assert 0.01 < one["text_model.encoder.embeddings.word_embeddings.weight"].numpy().std() < 0.03


def test_saved_and_loaded_the_embeddings_are_the_same(tmp_path, tiny_vocab, random_image):
    model = new_model(small_model(), seed=4)
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    save_model(tmp_path / "model", state, model.config, tiny_vocab)
    loaded = ernie_vil2.load(tmp_path / "model")
    model.eval()
    pixels = paddle.to_tensor(loaded.preprocess(random_image(40, 40))[None])
    found = loaded.encode_image([random_image(40, 40)], normalize=False)
    np.testing.assert_array_equal(found, model.encode_image(pixels).numpy())
    ids = paddle.to_tensor(loaded.tokenize(["a cat"]))
    np.testing.assert_array_equal(loaded.encode_text("a cat", normalize=False), model.encode_text(ids).numpy())
    del state["visual.proj.weight"]
    with pytest.raises(CheckpointError, match="visual.proj.weight"):
        save_model(tmp_path / "other", state, model.config, tiny_vocab)
    with pytest.raises(CheckpointError, match=r"visual.backbone.\*"):
        bare = {key: value for key, value in state.items() if "backbone" not in key}
        save_model(tmp_path / "other", bare, model.config, tiny_vocab)


def run_of(model, **changes):
    return RunConfig(
        model=model, data=DataConfig(train="none"), optimizer=OptimizerConfig(warmup=0), train=TrainConfig(**changes)
    )


def test_published_weights_are_read_without_running_the_pickle(tmp_path):
    folder = tmp_path / "small-ernie"
    theirs = ErnieForMaskedLM(ErnieConfig(**SMALL))
    theirs.save_pretrained(folder)
    state = {key: value for key, value in theirs.state_dict().items() if ".pooler." not in key}
    paddle.save(state, str(folder / "model_state.pdparams"))
    backbone = theirs_of(paddleclas())
    paddle.save(backbone.state_dict(), str(tmp_path / "backbone.pdparams"))
    model = small_model()
    model.text_tower = paddlenlp(paddlenlp=str(folder), settings={}, projection=32)
    model.image_tower.pretrained = str(tmp_path / "backbone.pdparams")
    config, notes = run_of(model), []
    started = start_system(config, notes).model
    assert model.text_tower.settings["hidden_size"] == 32
    for ours, library in ((started.visual.backbone, backbone), (started.text_model.encoder, theirs.ernie)):
        states = ours.state_dict(), library.state_dict()
        same = [key for key in states[0] if np.array_equal(states[0][key].numpy(), states[1][key].numpy())]
        assert {key for key in states[0] if key not in same} <= {"pooler.dense.weight", "pooler.dense.bias"}
    assert "pooler.dense.weight is missing" in " ".join(notes) and "not used by the tower" in " ".join(notes)
    assert started.text_model.encoder.pooler.dense.weight.numpy().std() > 0

    (folder / "model_state.pdparams").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(CheckpointError, match="system"):
        start_system(config, notes)
    model.image_tower.pretrained = str(folder / "model_state.pdparams")
    model.text_tower.pretrained = False
    with pytest.raises(CheckpointError):
        start_system(config, notes)


def test_a_file_of_another_architecture_is_a_sentence(tmp_path):
    paddle.save(theirs_of(paddleclas("MobileNetV3_small_x1_0")).state_dict(), str(tmp_path / "other.pdparams"))
    model = small_model()
    model.text_tower.pretrained, model.image_tower.pretrained = False, str(tmp_path / "other.pdparams")
    with pytest.raises(ConfigError, match="is missing.*give the weights of the same model"):
        start_system(run_of(model), [])


def test_no_network_is_a_sentence(monkeypatch):
    import socket

    def refuse(*address, **options):
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(ConfigError, match="fetch it yourself and name its folder"):
        look_up(PaddleNLPConfig(paddlenlp="nobody/nothing-of-that-name"))
    with pytest.raises(ConfigError, match="in image_tower.pretrained"):
        published_backbone("PPLCNet_x0_25")


def test_a_run_learns_resumes_and_refuses_what_the_libraries_cannot(tmp_path):
    build_vocab(tmp_path / "vocab.txt", scenes=60)
    rows = len((tmp_path / "vocab.txt").read_text(encoding="utf-8").splitlines())
    model = {
        "max_length": 32,
        "pixels": {"size": 32},
        "image_tower": {"paddleclas": "PPLCNet_x0_25", "width": 1280, "projection": 32, "image_size": 32},
        "text_tower": {
            "paddlenlp": "small",
            "pretrained": False,
            "vocab_size": rows,
            "positions": 32,
            "width": 32,
            "settings": {**SMALL, "vocab_size": rows, "architectures": ["ErnieModel"]},
        },
    }
    kept = {}
    for name, steps in (("straight", (4,)), ("resumed", (2, 4))):
        (tmp_path / name).mkdir()
        path = runs.write_config(
            tmp_path / name, model=model, train__steps=4, data__workers=0, data__vocab=str(tmp_path / "vocab.txt")
        )
        for stop in steps:
            trainer = Trainer(load_run(path), resume="auto")
            trainer.config.train.steps = stop
            trainer.run()
        kept[name] = runs.arrays(tmp_path / name, 4)
    assert runs.different(kept["straight"], kept["resumed"]) == []
    assert not trainer.rig.model.visual.backbone.parameters()[0].name.startswith("conv2d_")
    with pytest.raises(ConfigError, match="recompute is not there for model.image_tower of kind paddleclas"):
        check_towers(run_of(small_model(), recompute=True), divide(8))
    names = [name for name, _ in trainer.rig.model.named_parameters()]
    with pytest.raises(ConfigError, match="numbered blocks"):
        layer_factors(names, 0.9)
    factors = layer_factors([name for name in names if name.startswith("text_model.")], 0.5)
    assert factors["text_model.encoder.pooler.dense.weight"] == 1.0
    assert factors["text_model.encoder.encoder.layers.0.linear1.weight"] == 0.5
    assert factors["text_model.encoder.embeddings.word_embeddings.weight"] == 0.25


def test_two_models_in_one_process_have_parameters_of_one_name_each():
    for _ in range(2):
        model = DualEncoder(small_model())
        names = [value.name for value in model.parameters()]
        assert len(names) == len(set(names))
    assert "requirements-models.txt" in INSTALL
