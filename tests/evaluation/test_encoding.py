"""Windows of images: broken ones are named or left out, and what is left stays at its place."""

import numpy as np
import pytest

from ernie_vil2.errors import CheckpointError, DataError, ImageError
from ernie_vil2.evaluation.encoding import encode_images, encode_window
from ernie_vil2.evaluation.left_out import LeftOut


class Numbers:
    """Stands in for a model: an image is a number and its embedding that number twice; None is broken."""

    def __init__(self):
        self.windows = []

    def encode_image(self, images, on_error):
        assert on_error == "skip"
        self.windows.append(list(images))
        broken = [(position, "no number") for position, image in enumerate(images) if image is None]
        return np.array([[np.nan if image is None else image] * 2 for image in images], np.float32), broken


def error(position, reason):
    return ImageError(f"item {position}: {reason}")


def test_a_window_keeps_the_places_of_what_can_be_used():
    left_out = LeftOut(True)
    positions, embeds = encode_window(Numbers(), [None, 1, None, 3], error, left_out)
    assert positions.tolist() == [1, 3] and embeds.tolist() == [[1, 1], [3, 3]]
    assert left_out.reasons == ["item 0: no number", "item 2: no number"]
    assert left_out.notes("images") == ("images left out: 2, the first: item 0: no number (by cause: 2 broken image)",)


def test_a_broken_image_is_raised_where_nothing_may_be_left_out():
    with pytest.raises(ImageError, match="item 1: no number"):
        encode_window(Numbers(), [0, None, 2], error, LeftOut())
    positions, _ = encode_window(Numbers(), [0, 1], error, LeftOut())
    assert positions.tolist() == [0, 1] and LeftOut().notes("images") == ()


@pytest.mark.parametrize("window", [1, 2, 3, 100])
def test_windows_change_nothing_but_what_is_encoded_together(window):
    model, seen, left_out = Numbers(), [], LeftOut(True)
    images = [0, 1, None, 3, 4, None, 6]
    parts = list(encode_images(model, images, "row {}".format, left_out, window, lambda *done: seen.append(done)))
    assert np.concatenate([positions for positions, _ in parts]).tolist() == [0, 1, 3, 4, 6]
    assert np.concatenate([embeds for _, embeds in parts])[:, 0].tolist() == [0, 1, 3, 4, 6]
    assert left_out.reasons == ["row 2: no number", "row 5: no number"]
    assert max(map(len, model.windows)) == min(window, 7) and seen[-1] == (7, 7)


def test_a_place_that_the_model_names_is_not_said_twice():
    class Files(Numbers):
        def encode_image(self, images, on_error):
            return np.zeros((1, 2), np.float32), [(0, f"{images[0]}: cannot be decoded")]

    with pytest.raises(DataError) as caught:
        list(encode_images(Files(), ["a.jpg"], ["a.jpg"].__getitem__, LeftOut()))
    assert str(caught.value) == "a.jpg: cannot be decoded"


def test_embeddings_that_are_not_finite_are_named_by_their_place():
    with pytest.raises(CheckpointError, match="the first is row 3"):
        list(encode_images(Numbers(), [0, None, 2, np.inf], "row {}".format, LeftOut(True), 2))
