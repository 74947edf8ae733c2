"""PaddleNLP's ErnieViLModel and ours, both ways: embeddings, every bit of the weights, pixels and token ids."""

import io
import json

import numpy as np
import paddle
import pytest
from paddlenlp import transformers as paddlenlp
from PIL import Image

import ernie_vil2  # noqa: F401  its CPU settings reach Paddle
from ernie_vil2.checkpoints.formats.lazy_tensors import Float32View
from ernie_vil2.checkpoints.formats.paddle_file import load_pdparams, write_pdparams
from ernie_vil2.checkpoints.model_directory import open_model, save_model
from ernie_vil2.conversion.convert import convert
from ernie_vil2.conversion.fixed_inputs import Inputs
from ernie_vil2.conversion.opened import open_any
from ernie_vil2.conversion.their_models import RUNNERS
from ernie_vil2.data.images.pixels import preprocess
from tests.interop.conversions import SMALL, WORDS, assert_same, converted, ids_of, random_paddle, write_words
from tests.interop.test_text_towers import assert_same_ids
from tests.standin import standin_tensor

VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 80,
    "image_size": 32,
    "patch_size": 8,
}


def processor_of(folder, **changes):
    """PaddleNLP's own processor of a folder: image processor and tokenizer, saved there."""
    changes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}} | changes
    processor = paddlenlp.ErnieViLProcessor(
        paddlenlp.ErnieViLImageProcessor(**changes), paddlenlp.ErnieViLTokenizer(str(folder / "vocab.txt"))
    )
    processor.save_pretrained(str(folder))
    return processor


def source_of(folder, vision=(), text=(), scale=0.3, **changes):
    """(model, processor) of PaddleNLP with random weights, saved in a folder as from_pretrained wants it."""
    write_words(folder)
    settings = {
        "text_config": {"vocab_size": len(WORDS), **SMALL, **dict(text)},
        "vision_config": VISION | dict(vision),
    }
    model = random_paddle(paddlenlp.ErnieViLModel(paddlenlp.ErnieViLConfig(**settings)), scale)
    model.save_pretrained(str(folder))
    return model, processor_of(folder, **changes)


def pixels_of(size=32):
    return np.random.default_rng(2).standard_normal((3, 3, size, size)).astype(np.float32)


def embeddings(model, ids, pixels):
    """(image, text) embeddings of PaddleNLP's model or of ours."""
    with paddle.no_grad():
        ids, pixels = paddle.to_tensor(ids), paddle.to_tensor(pixels)
        if hasattr(model, "get_image_features"):
            return model.get_image_features(pixels).numpy(), model.get_text_features(ids).numpy()
        model.network.eval()
        return model.network.encode_image(pixels).numpy(), model.network.encode_text(ids).numpy()


@pytest.mark.parametrize(
    "vision, text",
    [({}, {}), ({"layer_norm_eps": 1e-3, "hidden_act": "gelu"}, {"hidden_act": "relu", "type_vocab_size": 4})],
    ids=("as released", "other settings"),
)
def test_to_ours(tmp_path, vision, text):
    model, _ = source_of(tmp_path / "source", vision, text)
    mine, _ = converted(tmp_path / "source", tmp_path)
    ids, pixels = ids_of(len(WORDS)), pixels_of()
    for found, wanted in zip(embeddings(mine, ids, pixels), embeddings(model, ids, pixels), strict=True):
        assert_same(found, wanted)
    assert mine.logit_scale == pytest.approx(float(model.temperature.exp()))
    check = json.loads((tmp_path / "converted/config.json").read_text())["extra"]["check"]
    assert check["how"] == "paddlenlp's ErnieViLModel" and set(check["cosine"]) == {"image", "text"}


def test_a_folder_of_paddlenlp_loads_as_it_is(tmp_path):
    model, _ = source_of(tmp_path / "source")
    ids, pixels = ids_of(len(WORDS)), pixels_of()
    for path in (tmp_path / "source", tmp_path / "source" / "model_state.pdparams"):
        mine = ernie_vil2.load(path)
        for found, wanted in zip(embeddings(mine, ids, pixels), embeddings(model, ids, pixels), strict=True):
            assert_same(found, wanted)
        assert mine.config.pixels.decoder == "pil" and mine.encode_text("一只猫").shape == (1, 32)


def test_there_and_back_keeps_every_bit(tmp_path):
    source_of(tmp_path / "source")
    convert(tmp_path / "source", tmp_path / "model")
    convert(tmp_path / "model", tmp_path / "back", "paddlenlp")
    first, last = (load_pdparams(tmp_path / name / "model_state.pdparams") for name in ("source", "back"))
    assert sorted(first) == sorted(last)
    for key, value in first.items():
        assert (value.dtype, value.shape, value.tobytes()) == (last[key].dtype, last[key].shape, last[key].tobytes())


def test_from_the_release_to_paddlenlp_and_back(tmp_path, tiny_config):
    """A `.pdparams` in the release's keys becomes a folder that PaddleNLP runs to the same embeddings, and comes back
    with every bit; PaddleNLP's epsilon of texts is its own, so it is ours too for the comparison."""
    from ernie_vil2.checkpoints.release_layout import manifest

    tiny_config.image_tower.width, tiny_config.image_tower.heads = 64, 1
    tiny_config.text_tower.width, tiny_config.text_tower.heads, tiny_config.text_tower.vocab_size = 64, 1, len(WORDS)
    state = {key: standin_tensor(key, shape) for key, shape in manifest(tiny_config).items()}
    write_words(tmp_path / "words")
    write_pdparams(tmp_path / "release.pdparams", state)
    lines = convert(tmp_path / "release.pdparams", tmp_path / "folder", "paddlenlp", vocab=tmp_path / "words/vocab.txt")
    assert any("epsilon 1e-12" in line for line in lines)
    theirs = paddlenlp.ErnieViLModel.from_pretrained(str(tmp_path / "folder"))
    theirs.eval()
    tiny_config.text_tower.epsilon = 1e-12
    save_model(tmp_path / "model", state, tiny_config, tmp_path / "words/vocab.txt")
    ids, pixels = ids_of(len(WORDS), 16), pixels_of()
    mine = ernie_vil2.load(tmp_path / "model")
    for found, wanted in zip(embeddings(theirs, ids, pixels), embeddings(mine, ids, pixels), strict=True):
        assert_same(found, wanted)
    convert(tmp_path / "folder", tmp_path / "again")
    again = open_model(tmp_path / "again", raw=True)[0]
    assert {key: again[key].tobytes() for key in again} == {key: value.tobytes() for key, value in state.items()}
    assert_same_ids(mine, paddlenlp.ErnieViLTokenizer.from_pretrained(str(tmp_path / "folder")))


@pytest.mark.parametrize("changes", ({}, {"size": {"shortest_edge": 48}}, {"resample": 2}), ids=str)
def test_pixels_are_those_of_its_processor(tmp_path, changes, random_image):
    """The profile read from preprocessor_config.json gives the pixels of PaddleNLP's processor on odd shapes."""
    _, processor = source_of(tmp_path / "source", **changes)
    profile = open_any(tmp_path / "source").config.pixels
    for height, width in ((32, 32), (40, 67), (67, 40), (33, 200), (131, 57), (20, 31), (48, 48), (61, 61)):
        image = Image.fromarray(random_image(height, width))
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        wanted = processor(images=image, return_tensors="np")["pixel_values"]
        np.testing.assert_allclose(preprocess(buffer.getvalue(), profile), np.asarray(wanted)[0], rtol=0, atol=1e-5)


def test_whole_way_from_texts_and_images(tmp_path, random_image):
    """Texts and an image through PaddleNLP's processor and model, and through ours."""
    model, processor = source_of(tmp_path / "source")
    mine, _ = converted(tmp_path / "source", tmp_path)
    image, texts = Image.fromarray(random_image(60, 45)), ["一只猫", "the red dog, left", "大小 blue 二"]
    inputs = processor(text=texts, images=image, padding=True, return_tensors="pd")
    with paddle.no_grad():
        wanted = model.get_text_features(inputs["input_ids"]).numpy()
        wanted_image = model.get_image_features(inputs["pixel_values"]).numpy()
    assert_same(mine.encode_text(texts, normalize=False), wanted)
    np.testing.assert_allclose(mine.encode_image(image, normalize=False), wanted_image, rtol=0, atol=1e-4)


def test_numpy_computes_what_paddlenlp_does(tmp_path):
    model, _ = source_of(tmp_path / "source")
    opened = open_any(tmp_path / "source")
    ids, pixels = ids_of(len(WORDS)), pixels_of()
    plain = RUNNERS[opened.layout.name][1]
    found = plain(Float32View(opened.source.state), opened.source.settings, opened.config, Inputs(ids, pixels))
    image, text = embeddings(model, ids, pixels)
    assert_same(found["image"], image)
    assert_same(found["text"], text)
