"""The loader's benchmark: both sides measure the same work and give the release's pixels; memory is told."""

import cv2
import numpy as np
import pytest

from ernie_vil2.cli.bench.main import main
from ernie_vil2.config.augmentation import AugmentationConfig
from ernie_vil2.data.images.pixels import normalise, preprocess
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.studies.speed import loader, plain_loader
from ernie_vil2.studies.speed.loader_memory import memory
from ernie_vil2.studies.speed.photos import SHARDS, write_tars


def test_both_sides_are_measured_by_stage():
    notes = []
    result = loader.compare(24, repeats=1, note=notes.append)
    assert len(notes) == 1 and result["ratio"] > 0 and 10_000 < result["bytes"] < 200_000
    for side in ("plain", "ours"):
        assert set(result[side]) == {*loader.STAGES, "all"} and all(speed > 0 for speed in result[side].values())
    lines = loader.table(result).splitlines()
    assert [line.split()[0] for line in lines[2:]] == [*loader.STAGES, "all", "ratio"]


def test_the_plain_side_takes_the_releases_steps(monkeypatch, random_image):
    """With everything off and a square image there is nothing to draw: the evaluation pixels, bit for bit."""
    monkeypatch.setattr(plain_loader, "RECIPE", AugmentationConfig(flip=0, jitter=0, grey=0, blur=0))
    data = cv2.imencode(".jpg", random_image(224, 224))[1].tobytes()
    pixels = plain_loader.plain_view(data, np.random.default_rng(0), lambda stage: None)
    np.testing.assert_array_equal(pixels, preprocess(data))


def test_both_sides_draw_from_one_distribution(random_image):
    """Means and spreads over many views of an image agree, per channel and over a coarse grid."""
    from ernie_vil2.data.images.augment import augment

    rgb = cv2.resize(random_image(60, 80), (320, 240))
    data = cv2.imencode(".png", rgb[:, :, ::-1])[1].tobytes()
    rng = np.random.default_rng(0)
    plain = np.stack([plain_loader.plain_view(data, rng, lambda stage: None) for _ in range(150)])
    ours = normalise(np.stack([augment(rgb, 224, rng) for _ in range(150)]))
    for one, two in ((side[:, :, ::56, ::56] for side in (plain, ours)),):
        assert np.abs(one.mean(0) - two.mean(0)).max() < 0.4
        assert np.abs(one.std(0) - two.std(0)).max() < 0.3


def test_tars_hold_jpegs_of_the_size_that_is_said(tmp_path):
    paths, size = write_tars(tmp_path, 10)
    source = open_source([str(path) for path in paths])
    assert len(source) == 10 and len(paths) == SHARDS
    files = [source[index].image for index in range(10)]
    assert sum(map(len, files)) / 10 == size
    assert all(cv2.imdecode(np.frombuffer(file, np.uint8), 1).shape == (480, 640, 3) for file in files)


def test_memory_is_told_as_samples_go_by():
    figures = memory(400, workers=1, every=128)
    assert [seen for seen, _ in figures] == [128, 256, 384] and all(10 < megabytes < 10_000 for _, megabytes in figures)


def test_the_tool_prints_the_table(monkeypatch, capsys):
    monkeypatch.setattr(
        loader,
        "compare",
        lambda *given: {
            "bytes": given[0],
            "ratio": 3.0,
            **dict.fromkeys(("plain", "ours"), dict.fromkeys((*loader.STAGES, "all"), given[1])),
        },
    )
    main(["loader", "--samples", "8000", "--quality", "77"])
    assert "8 kB" in (text := capsys.readouterr().out) and "77" in text and "3.00x" in text
    with pytest.raises(SystemExit):
        main(["loader", "--repeats", "0"])
