"""A run stops before its model is built where a source of it has pictures alone, or captions alone."""

import pytest

from ernie_vil2.config.load import load_run
from ernie_vil2.errors import DataError
from ernie_vil2.training import trainer
from tests.training.runs import write_config

SCENES = {"kind": "scenes", "size": 12, "image_size": 32, "languages": ["zh"]}


@pytest.mark.parametrize("key", ["train", "valid", "zero_shot", "a mix"])
@pytest.mark.parametrize("side", ["captions", "images"])
def test_a_run_needs_images_and_captions(tmp_path, random_image, image_bytes, monkeypatch, key, side):
    def refused(*_, **__):
        raise AssertionError("a model was built")

    monkeypatch.setattr(trainer, "Rig", refused)
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.png").write_bytes(image_bytes(random_image(30, 40)))
    (tmp_path / "queries.txt").write_text("猫\n", encoding="utf-8")
    place = str(photos if side == "captions" else tmp_path / "queries.txt")
    data = {"train": SCENES, "workers": 0}
    if key == "a mix":
        data["train"] = {"kind": "mix", "sources": [{"source": SCENES}, {"source": place}]}
    else:
        data[key] = {"mine": place} if key == "zero_shot" else place
    path = write_config(tmp_path, data=data, objective={"pairs": [["image", "caption"]]})
    with pytest.raises(DataError, match=f"^{place} has no {side}, which training needs; give a source that has them$"):
        trainer.Trainer(load_run(path))
