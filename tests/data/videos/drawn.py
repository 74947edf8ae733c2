"""Small videos whose frames have colours that tell their number."""

import cv2
import numpy as np

SIDE = 48


def colour(number):
    """RGB of a frame: far from those of its neighbours, and other than those of all of 27 in a row."""
    return np.array([number % 3, number // 3 % 3, number // 9 % 3]) * 100 + 25


def write_video(path, count=27, rate=5.0, code="mp4v", colours=colour, size=(SIDE, SIDE)):
    """A video of `count` frames in one colour each; its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*code), rate, size)
    assert writer.isOpened()
    for number in range(count):
        writer.write(np.broadcast_to(colours(number)[::-1], (*size[::-1], 3)).astype(np.uint8))
    writer.release()
    return path


def without_frame(path, number):
    """A video of MJPG in AVI whose frame of this number has no picture in it; its path."""
    data = bytearray(path.read_bytes())
    start = data.find(b"movi")
    for _ in range(number + 1):
        start = data.find(b"\xff\xd8\xff", start + 2)
    end = data.find(b"\xff\xd9", start)
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    return path


def shows(pixels, number):
    """Whether pixels [H, W, 3] are those of a frame of this number."""
    return np.abs(pixels.reshape(-1, 3).mean(axis=0) - colour(number)).max() < 25
