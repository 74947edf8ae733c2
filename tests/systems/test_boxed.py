"""A system that takes boxes trains on those of its data, in any number of micro-batches and worker processes."""

import numpy as np
import pytest

import ernie_vil2
from ernie_vil2.config.load import load_run
from ernie_vil2.data.sources.scenes.source import SceneSource
from ernie_vil2.training.trainer import Trainer
from tests.systems.boxed import MOST
from tests.training.runs import write_config

SCENES = {"kind": "scenes", "image_size": 32, "languages": ["zh"]}


@pytest.fixture
def with_boxes(monkeypatch):
    """Drawn scenes whose rows have as many boxes as their number says."""
    load = SceneSource.load

    def loaded(source, index):
        sample = load(source, index)
        object.__setattr__(sample, "boxes", tuple((2.0, 3.0, 9.0 + place, 30.0) for place in range(index % 6)))
        return sample

    monkeypatch.setattr(SceneSource, "load", loaded)


def trained(folder, micro_batch):
    folder.mkdir()
    path = write_config(
        folder,
        model__system="regional",
        data={
            "train": {**SCENES, "size": 30},
            "valid": {**SCENES, "split": "valid", "size": 8},
            "workers": 0,
            "augmentation": {},
        },
        objective={"pairs": [["image", "caption"], ["image", "image'"]]},
        optimizer={"warmup": 0},
        train={"steps": 2, "batch_size": 6, "micro_batch": micro_batch},
    )
    trainer = Trainer(load_run(path))
    return trainer, trainer.run()


def test_a_run_trains_on_boxes_and_its_model_takes_them(with_boxes, tmp_path, random_image):
    (whole, path), (cached, _) = (trained(tmp_path / str(micro), micro) for micro in (6, 2))
    assert whole.maker.boxes == MOST
    for trainer, size in ((whole, 6), (cached, 2)):
        assert (2 * size, True) in trainer.rig.model.calls, "both views of a micro-batch in one pass, with boxes"
    one, two = (trainer.rig.model.state_dict() for trainer in (whole, cached))
    for key, value in one.items():
        np.testing.assert_allclose(two[key].numpy(), value.numpy(), rtol=0, atol=1e-4, err_msg=key)
    model, image = ernie_vil2.load(path), random_image(30, 40)
    assert model.most_boxes == MOST
    assert not np.allclose(model.encode_image(image, boxes=[[1, 2, 9, 9]]), model.encode_image(image), atol=1e-4)
