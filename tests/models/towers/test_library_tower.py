"""Towers that another library builds, here with stand-ins for PaddleClas and PaddleNLP; tests/interop has the real."""

import subprocess
import sys

import numpy as np
import paddle
import pytest
from paddle import nn

from ernie_vil2.checkpoints import release_layout
from ernie_vil2.config.model import ModelConfig, PixelProfile
from ernie_vil2.config.tower_fields import PaddleClasConfig, PaddleNLPConfig
from ernie_vil2.errors import CheckpointError, ConfigError
from ernie_vil2.models import dual_encoder
from ernie_vil2.models.towers import paddleclas, paddlenlp

START = nn.initializer.Constant(0.25)


class Backbone(nn.Layer):
    """Convolution, batch norm, pool, classifier; it takes no img_size, and has a table of integers."""

    def __init__(self, class_num=1000, heads=1, drop_path_rate=0.2):
        super().__init__()
        self.rate = drop_path_rate
        self.conv = nn.Conv2D(3, 8, 3, weight_attr=paddle.ParamAttr(name="fixed", initializer=START), bias_attr=False)
        self.norm = nn.BatchNorm(8, act="relu")
        self.extra = nn.Linear(8, class_num) if heads == 2 else None
        self.fc = nn.Linear(8, class_num) if heads else nn.Identity()
        self.register_buffer("table", paddle.arange(4))

    def forward(self, x):
        return self.fc(self.norm(self.conv(x)).mean([2, 3]))


class Settings:
    """A configuration as PaddleNLP's are."""

    def __init__(self, hidden_size=8, vocab_size=64, max_position_embeddings=32, pad_token_id=0):
        self.hidden_size, self.vocab_size, self.pad_token_id = hidden_size, vocab_size, pad_token_id
        self.max_position_embeddings, self.hidden_dropout_prob = max_position_embeddings, 0.1

    @classmethod
    def from_dict(cls, settings):
        return cls(**{key: value for key, value in settings.items() if key != "architectures"})


class Encoder(nn.Layer):
    """Embeddings, and a sum of them that tells their order as the pooled token."""

    config_class, base_model_prefix = Settings, "small"

    def __init__(self, config):
        super().__init__()
        self.emb = nn.Embedding(config.vocab_size, config.hidden_size, weight_attr=paddle.ParamAttr(initializer=START))
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, ids):
        tokens = self.dropout(self.emb(ids)) * (1 + 0.01 * paddle.arange(ids.shape[1])).reshape([1, -1, 1])
        there = (ids != 0).astype("float32").unsqueeze(-1)
        return tokens, (tokens * ids.astype("float32").unsqueeze(-1) * there).sum(1)


@pytest.fixture
def libraries(monkeypatch):
    """PaddleClas with one architecture, PaddleNLP with one encoder."""
    monkeypatch.setattr(paddleclas, "architecture", lambda name: {"Backbone": Backbone}.get(name) or two_heads)
    monkeypatch.setattr(paddlenlp, "encoder_class", lambda settings: Encoder)


def two_heads(**options):
    return Backbone(heads=2, **options)


def config_of(image=None, text=None):
    image = {"paddleclas": "Backbone", "width": 8, "projection": 4, "image_size": 32, **(image or {})}
    settings = {"hidden_size": 8, "architectures": ["EncoderModel"]}
    text = {
        "paddlenlp": "encoder",
        "settings": settings,
        "vocab_size": 64,
        "positions": 32,
        "width": 8,
        "projection": 4,
        "dropout": 0.0,
        **(text or {}),
    }
    towers = PaddleClasConfig(**image), PaddleNLPConfig(**text)
    return ModelConfig(image_tower=towers[0], text_tower=towers[1], max_length=16, pixels=PixelProfile(size=32))


def test_a_key_with_the_librarys_name_chooses_the_tower():
    towers = {"text_tower": {"paddlenlp": "ernie-3.0-base-zh"}, "image_tower": {"paddleclas": "ResNet50"}}
    found = ModelConfig.from_dict(towers)
    assert (found.text_tower.kind, found.text_tower.paddlenlp) == ("paddlenlp", "ernie-3.0-base-zh")
    assert found.image_tower.kind == "paddleclas" and found.embed_dims() == (768, 768)
    assert ModelConfig.from_dict({"image_tower": {"kind": "efficientnet", "image_size": 224}}).embed_dims()[0] == 768


@pytest.mark.parametrize("library, kind", [("paddleclas", "image"), ("paddlenlp", "text")])
def test_a_library_that_is_not_installed_is_a_sentence_with_the_command(monkeypatch, library, kind):
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    config = config_of().towers()[kind]
    build = {"image": dual_encoder.layer_of, "text": dual_encoder.layer_of}[kind]
    with pytest.raises(ConfigError, match="pip install --no-deps --use-pep517 -r requirements-models.txt"):
        build(config)


def test_nothing_is_imported_before_it_is_asked_for():
    code = (
        "import sys, ernie_vil2.models.dual_encoder, ernie_vil2.training.trainer; "
        "print(*{name.split('.')[0] for name in sys.modules} & {'paddlenlp', 'paddleclas'}, sep='')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "")


def test_the_embedding_is_tanh_of_a_linear_on_pooled_features(libraries):
    model = dual_encoder.new_model(config_of())
    model.eval()
    pixels, ids = paddle.rand([2, 3, 32, 32]), paddle.to_tensor([[1, 2], [3, 0]])
    head = model.visual.proj
    features = model.visual.backbone(pixels)
    assert features.shape == [2, 8]
    np.testing.assert_allclose(model.encode_image(pixels).numpy(), paddle.tanh(head(features)).numpy(), atol=1e-6)
    pooled = model.text_model.encoder(ids)[1]
    np.testing.assert_allclose(
        model.encode_text(ids).numpy(), paddle.tanh(model.text_model.proj(pooled)).numpy(), atol=1e-6
    )
    bare = dual_encoder.layer_of(config_of({"projection": 0}, {"projection": 8, "width": 8}).image_tower)
    assert bare.proj is None and bare(pixels).shape == [2, 8]


def test_starting_values_are_the_librarys_and_the_heads_are_random(libraries):
    model = dual_encoder.new_model(config_of())
    assert set(model.visual.backbone.conv.weight.numpy().ravel()) == {np.float32(0.25)}
    assert set(model.visual.backbone.norm.weight.numpy()) == {np.float32(1.0)}, "not the zeros of layers to be loaded"
    assert model.visual.proj.weight.numpy().std() > 0.1 and not model.visual.proj.bias.numpy().any()
    with dual_encoder.uninitialised():
        dual_encoder.layer_of(config_of().image_tower)
        assert not nn.Linear(2, 2).weight.numpy().any(), "other layers are still to be loaded"


def test_options_are_given_where_the_architecture_takes_them(libraries):
    assert dual_encoder.layer_of(config_of().image_tower).backbone.rate == 0.0
    with pytest.raises(ConfigError, match="no stochastic depth"):
        dual_encoder.layer_of(config_of({"drop_path": 0.1}).image_tower)


def test_statistics_are_frozen_or_not_also_in_older_layers(libraries):
    for mode, moves in (("frozen", False), ("train", True)):
        tower = dual_encoder.layer_of(config_of({"batch_norm": mode}).image_tower)
        tower.train()
        before = tower.backbone.norm._mean.numpy().copy()
        tower(paddle.rand([4, 3, 32, 32]))
        assert (not np.array_equal(tower.backbone.norm._mean.numpy(), before)) == moves
        tower.eval()
        pixels = paddle.rand([4, 3, 32, 32])
        np.testing.assert_allclose(tower(pixels[:1]).numpy(), tower(pixels).numpy()[:1], atol=1e-6)


@pytest.mark.parametrize(
    "image, text, words",
    [
        ({"width": 9}, {}, "set width: 8"),
        ({"paddleclas": "TwoHeads"}, {}, "2 classifiers and not 1"),
        ({}, {"width": 16}, r"set width: 8 \(it is 16\)"),
        ({}, {"settings": {"pad_token_id": 3}}, "pads with token 3"),
    ],
)
def test_what_does_not_fit_is_a_sentence(libraries, image, text, words):
    with pytest.raises(ConfigError, match=words):
        dual_encoder.DualEncoder(config_of(image, text))


class NoMask(Encoder):
    """It lets padding through unless it is told of it."""

    def forward(self, ids, attention_mask=None):
        tokens = self.emb(ids) * ids.astype("float32").unsqueeze(-1) + 1.0
        there = paddle.ones(ids.shape) if attention_mask is None else attention_mask.astype("float32")
        return tokens * there.unsqueeze(-1), (tokens * there.unsqueeze(-1)).sum(1)


class Decoder(Encoder):
    """Token 0 sees itself only."""

    def forward(self, ids):
        return self.emb(ids)


class Pair(Encoder):
    """It wants images too."""

    def forward(self, ids, pixels):
        return self.emb(ids)


def test_an_encoder_is_told_of_padding_where_it_needs_it_and_refused_where_that_does_not_help(libraries, monkeypatch):
    ids = [[1, 5, 2]]
    for kind, masked in ((Encoder, False), (NoMask, True)):
        monkeypatch.setattr(paddlenlp, "encoder_class", lambda settings, kind=kind: kind)
        tower = dual_encoder.layer_of(config_of().text_tower)
        assert tower.masked == masked and tower.encoder.training
        short, padded = (tower(paddle.to_tensor([row])).numpy() for row in (ids[0], [*ids[0], 0, 0]))
        np.testing.assert_allclose(short, padded, atol=1e-6)
    for kind, words in ((Decoder, "does not see later tokens"), (Pair, "cannot encode texts alone")):
        monkeypatch.setattr(paddlenlp, "encoder_class", lambda settings, kind=kind: kind)
        with pytest.raises(ConfigError, match=words):
            dual_encoder.layer_of(config_of().text_tower)


def test_a_state_is_accepted_by_its_prefixes_and_checked_when_it_is_filled(libraries):
    model = dual_encoder.new_model(config_of())
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    assert "visual.backbone.table" not in state and "visual.backbone.norm._mean" in state
    assert release_layout.check(state, model.config, "state") == []
    other = dual_encoder.DualEncoder(config_of())
    dual_encoder.fill(other, state, "state")
    assert all(np.array_equal(value.numpy(), state[key]) for key, value in other.state_dict().items())
    for key in ("visual.proj.weight", "text_model.proj.bias", "contrastive_loss_mm.temperature_b"):
        with pytest.raises(CheckpointError, match=key):
            release_layout.check({name: value for name, value in state.items() if name != key}, model.config, "state")
    with pytest.raises(CheckpointError, match=r"text_model.encoder.\*"):
        release_layout.check({key: value for key, value in state.items() if ".emb." not in key}, model.config, "state")
    with pytest.raises(CheckpointError, match="visual.other"):
        release_layout.check({**state, "visual.other": state["visual.proj.bias"]}, model.config, "state")
    broken = {**state, "text_model.encoder.emb.weight": np.zeros((3, 8), np.float32)}
    del broken["visual.backbone.norm._mean"]
    with pytest.raises(CheckpointError, match=r"norm._mean is missing; text_model.encoder.emb.weight is \[3, 8\]"):
        dual_encoder.fill(other, broken, "state")
