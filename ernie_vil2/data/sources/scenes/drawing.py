"""A scene as pixels: textured ground, shaded objects with shadows, uneven light, a colour cast and sensor noise."""

import functools

import cv2
import numpy as np

from ..base import Boxes
from .scene import Group, Scene

RGB = {
    "red": (208, 38, 40),
    "orange": (240, 136, 26),
    "yellow": (236, 214, 48),
    "green": (40, 150, 62),
    "blue": (42, 84, 206),
    "purple": (138, 56, 170),
    "white": (240, 240, 238),
    "black": (30, 30, 34),
}
GROUND = {
    "grass": (112, 142, 88),
    "sand": (196, 176, 138),
    "water": (112, 146, 168),
    "wood": (150, 116, 86),
    "snow": (204, 212, 220),
}
SUBPIXEL = 4


@functools.cache
def outline(shape: str) -> list[np.ndarray]:
    """Polygons of a shape in the unit square around 0; a second polygon is a hole."""
    turn = np.linspace(0, 2 * np.pi, 25)[:-1]
    circle = np.stack([np.cos(turn), np.sin(turn)], 1)
    if shape == "circle":
        return [circle]
    if shape == "square":
        return [np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 0.88]
    if shape == "triangle":
        return [np.array([[0, -1.05], [1.05, 0.85], [-1.05, 0.85]])]
    if shape == "star":
        angles = np.arange(10) * np.pi / 5 - np.pi / 2
        return [np.stack([np.cos(angles), np.sin(angles)], 1) * np.where(np.arange(10) % 2, 0.45, 1.15)[:, None]]
    if shape == "cross":
        arm, end = 0.34, 1.05
        return [
            np.array(
                [
                    [-arm, -end],
                    [arm, -end],
                    [arm, -arm],
                    [end, -arm],
                    [end, arm],
                    [arm, arm],
                    [arm, end],
                    [-arm, end],
                    [-arm, arm],
                    [-end, arm],
                    [-end, -arm],
                    [-arm, -arm],
                ]
            )
        ]
    if shape == "heart":
        x = 16 * np.sin(turn) ** 3
        y = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)
        return [np.stack([x, -y], 1) / 16]
    if shape == "ring":
        return [circle * 1.05, circle * 0.55]
    outer = circle[np.cos(turn) < 0.35]
    inner = np.stack([0.55 + 0.85 * np.cos(turn), 0.85 * np.sin(turn)], 1)[np.cos(turn) < -0.15]
    order = np.argsort(np.arctan2(outer[:, 1], -outer[:, 0]))
    back = np.argsort(-np.arctan2(inner[:, 1], 0.55 - inner[:, 0]))
    return [np.concatenate([outer[order], inner[back]]) * 1.1 + [0.25, 0]]


def draw_mask(shape: str, centre: np.ndarray, radius: float, angle: float, height: int, width: int) -> np.ndarray:
    """Coverage [H, W] float32 in [0, 1] of one object, anti-aliased; `centre` is (x, y) in pixels."""
    mask = np.zeros((height, width), np.uint8)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    for index, polygon in enumerate(outline(shape)):
        points = (polygon @ turn) * radius + centre
        cv2.fillPoly(
            mask, [np.round(points * 2**SUBPIXEL).astype(np.int32)], 255 if index == 0 else 0, cv2.LINE_AA, SUBPIXEL
        )
    return mask.astype(np.float32) / 255


def smooth_noise(rng: np.random.Generator, cells: int, size: int) -> np.ndarray:
    """[S, S] float32, low-frequency noise of about unit spread."""
    return cv2.resize(
        rng.standard_normal((cells, cells), dtype=np.float32), (size, size), interpolation=cv2.INTER_CUBIC
    )


def draw_background(background: str, rng: np.random.Generator, size: int) -> np.ndarray:
    """[S, S, 3] float32: the ground's colour with its texture."""
    fine = rng.standard_normal((size, size), dtype=np.float32)
    if background == "water":
        texture = cv2.blur(fine, (9, 1)) * 22
    elif background == "wood":
        texture = cv2.blur(fine, (1, 15)) * 30
    elif background == "grass":
        texture = cv2.blur(fine, (1, 3)) * 20
    else:
        texture = fine * (9 if background == "sand" else 3)
    texture += smooth_noise(rng, 4, size) * 8
    tint = rng.normal(0, 20, 3).astype(np.float32)
    return np.float32(GROUND[background]) + tint + texture[:, :, None]


def surface(
    group: Group, rng: np.random.Generator, centre: np.ndarray, radius: float, height: int, width: int
) -> np.ndarray:
    """The object's colour, broadcast to [H, W, 3] float32, shaded by its material."""
    colour = np.clip(np.float32(RGB[group.colour]) + rng.normal(0, 9, 3).astype(np.float32), 0, 255)
    if group.material == "plain":
        return colour
    angle = rng.uniform(0, np.pi)
    rows, columns = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    along = (((columns - centre[0]) * np.cos(angle) + (rows - centre[1]) * np.sin(angle)) / radius)[:, :, None].astype(
        np.float32
    )
    if group.material == "striped":
        return np.where(np.floor(along * 2.6) % 2 == 0, colour, colour * 0.45 + 60)
    return colour * (0.75 + 0.2 * along) + 150 * np.exp(-((along + 0.2) ** 2) * 14)


def draw_object(
    canvas: np.ndarray, group: Group, row: int, column: int, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Draw one object with its shadow into its cell of `canvas` [S, S, 3], in place; its box without the shadow."""
    size = len(canvas)
    radius = size * (rng.uniform(0.19, 0.215) if group.size == "big" else rng.uniform(0.125, 0.145))
    centre = (np.array([column, row]) + 0.5 + rng.uniform(-0.16, 0.16, 2)) * size / 3
    centre = np.clip(centre, 0.75 * radius, size - 0.75 * radius)
    shift = max(1, size // 48)
    left, top = np.maximum(np.floor(centre - 1.5 * radius).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(centre + 1.5 * radius).astype(int) + shift + 1, size)
    patch = canvas[top:bottom, left:right]
    centre = centre - (left, top)
    mask = draw_mask(group.shape, centre, radius, rng.uniform(-0.3, 0.3), *patch.shape[:2])
    shadow = np.zeros_like(mask)
    shadow[shift:, shift:] = mask[:-shift, :-shift]
    patch *= 1 - 0.3 * shadow[:, :, None]
    patch += mask[:, :, None] * (surface(group, rng, centre, radius, *patch.shape[:2]) - patch)
    return box_of(mask, left, top)


def box_of(mask: np.ndarray, left: int, top: int) -> tuple[float, float, float, float]:
    """The tight box of what a mask [H, W] covers, moved by (left, top); without area where that is no pixel."""
    across, down = (np.flatnonzero(mask.any(axis)) for axis in (0, 1))
    if not len(across):
        return float(left), float(top), float(left), float(top)
    return float(left + across[0]), float(top + down[0]), float(left + across[-1] + 1), float(top + down[-1] + 1)


def render(scene: Scene, rng: np.random.Generator, size: int) -> tuple[np.ndarray, Boxes]:
    """The scene as uint8 RGB [S, S, 3], and the boxes of its objects in the order of groups and cells."""
    canvas = draw_background(scene.background, rng, size)
    objects = [(group, cell) for group in scene.groups for cell in group.cells]
    boxes = {}
    for index in rng.permutation(len(objects)):
        group, (row, column) = objects[index]
        boxes[index] = draw_object(canvas, group, row, column, rng)
    if rng.random() < 0.3:
        ends = np.round(rng.uniform(0, size, (2, 2))).astype(int)
        grey = float(rng.uniform(60, 190))
        cv2.line(
            canvas,
            tuple(map(int, ends[0])),
            tuple(map(int, ends[1])),
            (grey, grey, grey),
            max(1, size // 32),
            cv2.LINE_AA,
        )
    light = 1 + 0.08 * smooth_noise(rng, 2, size) + np.float32(rng.uniform(-0.15, 0.15))
    cast = 1 + rng.normal(0, 0.07, 3)
    canvas *= light[:, :, None] * cast.astype(np.float32)
    if rng.random() < 0.5:
        canvas = cv2.GaussianBlur(canvas, (3, 3), float(rng.uniform(0.3, 0.8)))
    canvas += rng.standard_normal(canvas.shape, dtype=np.float32) * np.float32(rng.uniform(2, 7))
    return np.clip(canvas, 0, 255).astype(np.uint8), tuple(boxes[index] for index in range(len(objects)))
