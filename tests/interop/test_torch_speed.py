"""torch's side of `bench encode`: its towers compute what ours do, and its process answers as the others."""

import dataclasses
import sys

import numpy as np
import pytest

import ernie_vil2
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.inference.engines.processor import this_processor
from ernie_vil2.studies.speed.encoding.comparison import compare
from ernie_vil2.studies.speed.encoding.torch_side import TorchEncoder, ways


@pytest.fixture(params=["released", "other"])
def model(request, tiny_config, tiny_vocab, tmp_path):
    """A model directory of the released kind, or of everything that a tower may have beside that."""
    if request.param == "other":
        other = {"activation": "quick_gelu", "projection": 8}
        tiny_config = dataclasses.replace(
            tiny_config,
            image_tower=dataclasses.replace(
                tiny_config.image_tower, activation="gelu", projection=8, patch_bias=True, pre_norm=False
            ),
            text_tower=dataclasses.replace(tiny_config.text_tower, token_types=2, **other),
        )
    rng = np.random.default_rng(0)
    state = {key: rng.normal(0, 0.3, shape).astype(np.float32) for key, shape in manifest(tiny_config).items()}
    save_model(tmp_path / "model", state, tiny_config, tiny_vocab)
    return tmp_path / "model"


def test_towers_of_torch_give_our_embeddings(model, random_image, image_bytes, tmp_path):
    paths = [tmp_path / f"{seed}.png" for seed in range(10)]
    for seed, path in enumerate(paths):
        path.write_bytes(image_bytes(random_image(40, 50, seed)))
    captions = ["红色的圆", "一只猫和一只狗", "大", *(["左右上下"] * 40)]
    ours = ernie_vil2.load(model)
    captions = {"short": captions, "long": captions[::-1]}
    job = {"model": str(model), "captions": captions, "photos": list(map(str, paths))}
    for precision, bound in (("fp32", 1e-5), ("bf16", 0.1)):
        if precision == "bf16" and not this_processor().bf16:
            continue
        torchs = TorchEncoder({**job, "precision": precision})
        assert [told.partition(":")[0] for told in torchs.told.split("; ")] == ["images", "short", "long"]
        for way in ways(torchs.ways["images"].towers, "fp32"):
            torchs.ways["images"] = way
            assert np.abs(torchs.encode("images", paths) - ours.encode_image(paths)).max() < bound
        for kind, texts in captions.items():
            assert np.abs(torchs.encode(kind, texts) - ours.encode_text(texts)).max() < bound


def test_torch_takes_part_in_the_comparison(model):
    found = compare(model, images=9, texts=5, repeats=1, names=["torch-fp32"], torch=sys.executable)
    assert found.rate("torch-fp32", "images") > 0 and not found.sides["torch-fp32"].refused
    assert found.sides["torch-fp32"].largest < 1e-5
