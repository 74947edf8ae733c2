"""Features of boxes: what affine_grid, grid_sample, a 1x1 convolution and an average pool give, for any box."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from ernie_vil2.models.regions import CellProjection, box_features, box_weights, grid_boxes

SIZE = 100
BOXES = {
    "whole": [0, 0, 100, 100],
    "inside": [12.5, 40, 61, 77.25],
    "a-pixel": [31, 31, 32, 32],
    "no-area": [50, 20, 50, 20],
    "a-line": [10, 60, 90, 60],
    "reversed": [80, 70, 20, 30],
    "partly-outside": [-40, 60, 55, 180],
    "outside": [150, 220, 190, 260],
    "far-outside": [-1e6, 5e5, 1e7, 1e8],
    "padding": [0, 0, 0, 0],
}


def sampled(features, boxes, layer, cells):
    """The release's way: a grid a box, bilinear samples, the convolution on each, and their mean; [B, M, C]."""
    rows, columns = features.shape[2:]
    x1, y1, x2, y2 = (boxes / (SIZE / columns)).unbind(-1)
    zero = paddle.zeros_like(x1)
    theta = paddle.stack(
        [
            paddle.stack([(x2 - x1) / (columns - 1), zero, (x1 + x2 - columns + 1) / (columns - 1)], -1),
            paddle.stack([zero, (y2 - y1) / (rows - 1), (y1 + y2 - rows + 1) / (rows - 1)], -1),
        ],
        -2,
    )
    found = []
    for one, thetas in zip(features, theta, strict=True):
        count, channels = len(thetas), one.shape[0]
        grid = F.affine_grid(thetas, [count, channels, cells, cells], align_corners=False)
        cut = F.grid_sample(one.unsqueeze(0).expand([count, *one.shape]), grid, align_corners=False)
        convolved = F.conv2d(cut, layer.weight.T.reshape([-1, channels, 1, 1]), layer.bias)
        found.append(convolved.mean([2, 3]))
    return paddle.stack(found)


@pytest.fixture
def layer():
    paddle.seed(3)
    made = CellProjection(6, 6)
    made.starting_values()
    return made


@pytest.mark.parametrize("side, cells", [((4, 4), 4), ((12, 12), 4), ((5, 7), 3), ((2, 2), 1)])
def test_the_average_of_the_samples_is_that_of_the_release(layer, side, cells):
    rng = np.random.default_rng(0)
    features = paddle.to_tensor(rng.standard_normal((2, 6, *side)), "float32")
    rows = [list(BOXES.values()), rng.uniform(-50, 150, (len(BOXES), 4)).tolist()]
    if side[0] != side[1]:  # the ratio of the release is one for both axes, so maps of theirs are square
        rows = [[[x1, y1 * side[0] / side[1], x2, y2 * side[0] / side[1]] for x1, y1, x2, y2 in part] for part in rows]
    boxes = paddle.to_tensor(rows, "float32")
    found = layer(box_features(features, boxes, SIZE, cells)).numpy()
    np.testing.assert_allclose(found, sampled(features, boxes, layer, cells).numpy(), atol=2e-5)


@pytest.mark.parametrize("name", BOXES)
def test_no_box_gives_what_is_no_number(layer, name):
    features = paddle.rand([1, 6, 4, 4])
    features.stop_gradient = False
    found = layer(box_features(features, paddle.to_tensor([[BOXES[name]]], "float32"), SIZE))
    found.sum().backward()
    for value in (found, features.grad, layer.weight.grad, layer.bias.grad):
        assert paddle.isfinite(value).all()
    assert np.abs(found.numpy()).max() > 0  # a box that sees nothing has the bias, and a direction


def test_weights_of_a_box_inside_are_shares_of_one():
    boxes = paddle.to_tensor([[[10.0, 20, 85, 80], [25, 25, 75, 75]]])
    assert np.allclose(box_weights(boxes, SIZE, 8, 8).sum(-1).numpy(), 1.0, atol=1e-5)


def test_the_grid_divides_the_image():
    boxes = np.array(grid_boxes(90, 6))
    assert len(boxes) == 36 and boxes[0].tolist() == [0, 0, 15, 15] and boxes[7].tolist() == [15, 15, 30, 30]
    assert ((boxes[:, 2:] - boxes[:, :2]) == 15).all() and boxes[-1].tolist() == [75, 75, 90, 90]


@pytest.mark.parametrize("side", [2, 3, 12])
@pytest.mark.parametrize("cells", [1, 4])
def test_aligned_samples_of_a_box_lie_inside_of_it(side, cells):
    inside = [box for name, box in BOXES.items() if name in ("whole", "inside", "a-pixel", "no-area", "a-line")]
    boxes = paddle.to_tensor([inside + grid_boxes(SIZE, side)], "float32")
    weights = box_weights(boxes, SIZE, side, side, cells, aligned=True).numpy()[0]
    np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-5)
    assert (weights[len(inside) :].argmax(-1) == np.arange(side * side)).all(), "a box of the grid sees its own place"
    places = np.arange(side * side).reshape(side, side) % side
    for box, shares in zip(inside, weights, strict=False):
        centre = (box[0] + box[2]) / 2 * side / SIZE - 0.5
        if 0 <= box[0] * side / SIZE - 0.5 and box[2] * side / SIZE - 0.5 <= side - 1:
            np.testing.assert_allclose((shares * places.ravel()).sum(), centre, atol=1e-4)
