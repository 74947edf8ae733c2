"""Settings beside the weights of others, with any value in place of any other: a model, or one sentence."""

import copy
import time

import pytest

from ernie_vil2.checkpoints.formats.lazy_tensors import spec_of
from ernie_vil2.checkpoints.layouts.any_source import open_source
from ernie_vil2.checkpoints.layouts.recognise import read_source, recognise
from ernie_vil2.errors import UserError
from tests.checkpoints.layouts import foreign
from tests.checkpoints.layouts.test_clip import drawn, torch_shapes, transformers_state

VALUES = (None, True, -1, 0, 1.5, 10**9, 10**400, float("inf"), float("nan"), "x", "\ud800\n", [], {}, [[1]], {"a": []})
TOKENIZER = {"do_lower_case": True, "tokenize_chinese_chars": True, "strip_accents": None, "model_max_length": 40}
PIXELS = {
    "do_resize": True,
    "do_center_crop": True,
    "do_normalize": True,
    "resample": 3,
    "rescale_factor": 1 / 255,
    "size": {"shortest_edge": 32},
    "crop_size": {"height": 32, "width": 32},
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
BERT = foreign.SETTINGS | {
    "layer_norm_eps": 1e-12,
    "type_vocab_size": 2,
    "model_type": "bert",
    "architectures": ["BertModel"],
}
OPEN_CLIP = {
    "model_cfg": {
        "vision_cfg": {"head_width": 16, "norm_kwargs": {"eps": 1e-6}, "layers": 2, "width": 64},
        "quick_gelu": True,
    },
    "preprocess_cfg": {
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    },
}
CLIP = {"vision_config": {"hidden_act": "gelu", "layer_norm_eps": 1e-6, "num_attention_heads": 4, "hidden_size": 64}}
ERNIE_VIL = {
    "vision_config": {"num_attention_heads": 4, "hidden_act": "quick_gelu", "image_size": 32, "patch_size": 8},
    "text_config": foreign.SETTINGS,
}
SOURCES = {
    "PaddleNLP's ERNIE": (foreign.paddle_ernie, foreign.SETTINGS | {"task_type_vocab_size": 3, "use_task_id": True}),
    "Hugging Face's BERT": (foreign.torch_bert, BERT),
    "PaddleNLP's ErnieViL": (foreign.ernie_vil, ERNIE_VIL),
    "open_clip": (lambda: drawn(torch_shapes()), OPEN_CLIP),
    "transformers": (lambda: transformers_state(drawn(torch_shapes())), CLIP),
}


def places(content, way=()):
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield (*way, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*way, key))


def variants(content):
    """The settings with every value replaced by every other kind of value."""
    for way in places(content):
        for value in VALUES:
            changed = copy.deepcopy(content)
            place = changed
            for key in way[:-1]:
                place = place[key]
            place[way[-1]] = value
            yield changed


@pytest.mark.parametrize("name", SOURCES)
def test_any_value_of_any_setting(tmp_path, name):
    make, settings = SOURCES[name]
    files = {"tokenizer_config": TOKENIZER, "preprocessor_config": PIXELS}
    foreign.write_source(tmp_path / "a", make(), settings, "model.safetensors", **files)
    source = open_source(tmp_path / "a")
    layout = recognise(source)
    read_source(source, layout)
    for part in ("settings", "tokenizer", "pixels"):
        good = getattr(source, part)
        for changed in variants(good):
            setattr(source, part, changed)
            began = time.process_time()
            try:
                read = read_source(source, layout)
                assert all(spec_of(read.state, key) for key in read.state)
                assert all(isinstance(note, str) for note in read.notes)
            except UserError as error:
                assert len(str(error)) <= 480 and str(error).isprintable()
            assert time.process_time() - began < 2, changed
        setattr(source, part, good)
