"""Shared memory: seen by every process, without a name, refused before it is used when there is no room."""

import multiprocessing
import os

import numpy as np
import pytest

from ernie_vil2.data import shared
from ernie_vil2.data.shared import PixelRing, SharedBytes, open_ring, small_block

SHAPES = {"image": (3, 4, 4, 3), "image'": (3, 4, 4, 3)}


def fill(ring, value):
    ring.slot(1)["image'"][2] = value


def test_what_a_process_writes_the_other_reads():
    ring = PixelRing(SHAPES, 2)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=fill, args=(ring, 200))
    process.start()
    ring.memory.release()
    process.join(60)
    assert process.exitcode == 0
    assert (ring.slot(1)["image'"][2] == 200).all()
    assert sum(int(pixels.sum()) for slot in (0, 1) for pixels in ring.slot(slot).values()) == 200 * 48


def test_slots_and_views_do_not_overlap():
    ring = PixelRing(SHAPES, 3)
    for number in range(3):
        for place, pixels in enumerate(ring.slot(number).values()):
            pixels[...] = 10 * number + place
    for number in range(3):
        for place, (view, pixels) in enumerate(ring.slot(number).items()):
            assert pixels.shape == SHAPES[view] and (pixels == 10 * number + place).all()
    assert len(ring.memory.array) == 3 * 2 * 144


def test_the_file_has_no_name_and_is_closed_on_release():
    before = set(os.listdir("/dev/shm"))
    block = SharedBytes(10_000, "/dev/shm")
    assert set(os.listdir("/dev/shm")) == before
    descriptor = block.descriptor
    assert "(deleted)" in os.readlink(f"/proc/self/fd/{descriptor}")
    block.release()
    block.release()
    with pytest.raises(OSError):
        os.fstat(descriptor)
    block.array[:] = 1
    assert block.array.sum() == 10_000


def test_a_block_that_does_not_fit_is_refused_when_it_is_made():
    with pytest.raises(OSError):
        SharedBytes(shared.free_bytes("/dev/shm") * 4 + 2**40, "/dev/shm")


@pytest.mark.parametrize("limit, slots", [(0, 0), (287, 0), (288, 1), (800, 2), (10_000, 5)])
def test_the_ring_takes_as_many_slots_as_there_is_room_for(limit, slots):
    ring, note = open_ring(SHAPES, 5, limit)
    assert (ring.slots if ring else 0) == slots
    assert bool(note) == (slots == 0)
    assert not note or ("pipes" in note and "--shm-size" in note)


def test_no_shared_folder_and_no_pixels_are_no_error(monkeypatch):
    assert open_ring({}, 5) == (None, "")
    monkeypatch.setattr(shared, "FOLDER", "/nowhere/at/all")
    ring, note = open_ring(SHAPES, 5)
    assert ring is None and "No such file" in note
    small_block(16).array.view(np.int64)[:] = -1
