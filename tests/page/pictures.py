"""Folders of pictures for the page: drawn shapes with captions and tags, and files of many kinds with odd names."""

import datetime
import json
import os
import shutil

import cv2
import numpy as np
from PIL import Image, ImageDraw

COLOURS = {
    "red": ("红色", (214, 40, 40)),
    "green": ("绿色", (46, 160, 67)),
    "blue": ("蓝色", (38, 90, 214)),
    "yellow": ("黄色", (245, 196, 36)),
    "purple": ("紫色", (130, 60, 190)),
    "orange": ("橙色", (247, 127, 36)),
    "white": ("白色", (250, 250, 248)),
    "black": ("黑色", (24, 24, 28)),
}
"""{English: (Chinese, RGB)}"""
SHAPES = {"circle": "圆形", "square": "正方形", "triangle": "三角形", "cross": "十字"}
GROUNDS = {"sand": ("沙滩", (226, 205, 160)), "water": ("水面", (140, 190, 210)), "snow": ("雪地", (228, 234, 240))}
SIZES = ((480, 360), (360, 480), (640, 360), (400, 400))
HTML_NAME = "<img src=x onerror=document.title='run'>.png"
ODD_NAMES = (HTML_NAME, "名字 有空格，和标点。.png", "a'b\"c&d#e?f%20.png", "ultra-" + "long-" * 30 + "name.png")
VIDEO, RATE = "clip.webm", 5.0
CLIP = ("red", "green", "blue", "yellow")
"""The video shows each of these colours for two seconds."""
NEWEST = datetime.datetime(2026, 5, 1, 12, 0)


def draw(shape, colour, ground, size, seed=0):
    """A picture of one shape, with a little noise so that no two are equal."""
    rng = np.random.default_rng((seed, *map(ord, shape + colour + ground)))
    image = Image.new("RGB", size, GROUNDS[ground][1])
    pen, fill = ImageDraw.Draw(image), COLOURS[colour][1]
    radius = min(size) * rng.uniform(0.25, 0.4)
    x, y = (np.array(size) / 2 + rng.uniform(-1, 1, 2) * (np.array(size) / 2 - radius) * 0.7).tolist()
    if shape == "circle":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill)
    elif shape == "square":
        pen.rectangle((x - radius, y - radius, x + radius, y + radius), fill)
    elif shape == "triangle":
        pen.polygon(((x, y - radius), (x - radius, y + radius), (x + radius, y + radius)), fill)
    else:
        bar = radius / 3
        pen.rectangle((x - bar, y - radius, x + bar, y + radius), fill)
        pen.rectangle((x - radius, y - bar, x + radius, y + bar), fill)
    pixels = np.asarray(image) + rng.normal(0, 3, (size[1], size[0], 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def captions(shape, colour, ground):
    """What the picture shows, in Chinese and English."""
    return [
        f"{GROUNDS[ground][0]}上有一个{COLOURS[colour][0]}的{SHAPES[shape]}",
        f"a {colour} {shape} on the {ground}",
        f"一个{COLOURS[colour][0]}的{SHAPES[shape]}",
    ]


def write_shapes(folder):
    """Path of rows.jsonl in `folder`: a JPEG of every shape, colour and ground, a day older each, with captions."""
    lines = []
    for number, (shape, colour, ground) in enumerate((s, c, g) for g in GROUNDS for s in SHAPES for c in COLOURS):
        path = folder / ground / f"{colour}_{shape}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(shape, colour, ground, SIZES[number % len(SIZES)]).save(path, quality=92)
        dated(path, NEWEST - datetime.timedelta(days=number))
        tags = [COLOURS[colour][0], SHAPES[shape], GROUNDS[ground][0]]
        lines.append({"image": f"{ground}/{path.name}", "texts": captions(shape, colour, ground), "tags": tags})
    rows = folder / "rows.jsonl"
    rows.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return rows


def labelled_pairs(of):
    """(sentence or picture, picture, whether they show the same shape in the same colour) on neighbouring colours."""
    keys = [(shape, colour, f"water/{colour}_{shape}.jpg") for shape in SHAPES for colour in COLOURS]
    for number, (shape, colour, key) in enumerate(keys):
        left = captions(shape, colour, "water")[2] if of == "text-image" else f"sand/{colour}_{shape}.jpg"
        yield left, key, True
        yield left, keys[(number + 1) % len(keys)][2], False


def write_album(folder):
    """Fill a folder with pictures of several formats, odd names, exact and near copies, and a video."""
    folder.mkdir(parents=True)
    for seed, name in enumerate(ODD_NAMES):
        draw("cross", "purple", "sand", (320, 240), seed).save(folder / name)
    draw("circle", "orange", "water", (1200, 300), 1).save(folder / "panorama.webp")
    draw("square", "white", "water", (200, 900), 1).save(folder / "tower.gif")
    draw("triangle", "red", "snow", (500, 300), 2).convert("RGBA").save(folder / "alpha.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    draw("cross", "green", "sand", (480, 320), 3).save(folder / "turned.jpg", exif=turned)
    draw("circle", "blue", "sand", (640, 480), 4).save(folder / "first.jpg", quality=95)
    shutil.copy(folder / "first.jpg", folder / "first copy.jpg")
    Image.open(folder / "first.jpg").resize((320, 240)).save(folder / "first small.jpg", quality=80)
    write_clip(folder / VIDEO)
    for number, path in enumerate(sorted(folder.iterdir())):
        dated(path, NEWEST - datetime.timedelta(days=400 + number))


def write_clip(path):
    """A video that Chromium plays: a circle in each of the colours of CLIP for two seconds."""
    size = (320, 240)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"VP80"), RATE, size)
    assert writer.isOpened()
    for colour in CLIP:
        frame = np.asarray(draw("circle", colour, "snow", size))[:, :, ::-1]
        for _ in range(int(2 * RATE)):
            writer.write(np.ascontiguousarray(frame))
    writer.release()


def dated(path, moment):
    """Give a file this time of its last change."""
    os.utime(path, (moment.timestamp(), moment.timestamp()))
