"""Shared memory: seen by every process, without a name, refused before it is used when there is no room."""

import multiprocessing
import os
import subprocess

import numpy as np
import pytest

from ernie_vil2.data.batches import shared_memory
from ernie_vil2.data.batches.shared_memory import PixelRing, SharedBytes, open_ring, small_block

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


def test_floats_lie_in_memory_as_bytes_do():
    ring, reason = open_ring(SHAPES, 3, dtype=np.float32)
    assert not reason and len(ring.memory.array) == 4 * 3 * 2 * 144
    for number in range(3):
        for place, pixels in enumerate(ring.slot(number).values()):
            assert pixels.dtype == np.float32
            pixels[...] = number + place / 8
    taken = ring.free.popleft()
    lent = ring.lend(taken)
    assert np.shares_memory(lent["image"], ring.memory.array) and taken not in ring.free
    for number in range(3):
        for place, (view, pixels) in enumerate((lent if number == taken else ring.slot(number)).items()):
            assert pixels.shape == SHAPES[view] and (pixels == number + place / 8).all()
    del lent, pixels
    assert taken in ring.free
    assert open_ring(SHAPES, 3, limit=4 * 288 - 1, dtype=np.float32)[0] is None


def test_a_lent_slot_is_free_when_the_last_view_of_it_is_gone():
    ring = PixelRing(SHAPES, 3)
    first, second = ring.free.popleft(), ring.free.popleft()
    ring.slot(first)["image"][:] = 7
    lent = ring.lend(first)
    kept = lent["image"][1:, ::2].transpose()[None]
    assert (lent["image"] == 7).all() and np.shares_memory(kept, ring.memory.array)
    del lent
    assert list(ring.free) == [2]
    del kept
    assert list(ring.free) == [2, first]
    ring.free.clear()
    ring.slot(second)["image'"][:] = 9
    copied = ring.lend(second)
    assert list(ring.free) == [second] and not np.shares_memory(copied["image'"], ring.memory.array)
    assert (copied["image'"] == 9).all()


def test_the_file_has_no_name_and_is_closed_on_release():
    block = SharedBytes(10_007, "/dev/shm")
    named = subprocess.run(["find", "/dev/shm", "-size", "10007c"], capture_output=True, timeout=60)
    assert named.stdout == b""
    descriptor = block.descriptor
    assert "(deleted)" in os.readlink(f"/proc/self/fd/{descriptor}")
    block.release()
    block.release()
    with pytest.raises(OSError):
        os.fstat(descriptor)
    block.array[:] = 1
    assert block.array.sum() == 10_007


def test_a_block_that_does_not_fit_is_refused_when_it_is_made():
    with pytest.raises(OSError):
        SharedBytes(shared_memory.free_bytes("/dev/shm") * 4 + 2**40, "/dev/shm")


@pytest.mark.parametrize("limit, slots", [(0, 0), (287, 0), (288, 1), (800, 2), (10_000, 5)])
def test_the_ring_takes_as_many_slots_as_there_is_room_for(limit, slots):
    ring, note = open_ring(SHAPES, 5, limit)
    assert (ring.slots if ring else 0) == slots
    assert bool(note) == (slots == 0)
    assert not note or ("pipes" in note and "--shm-size" in note)


def test_no_shared_folder_and_no_pixels_are_no_error(monkeypatch):
    assert open_ring({}, 5) == (None, "")
    monkeypatch.setattr(shared_memory, "FOLDER", "/nowhere/at/all")
    ring, note = open_ring(SHAPES, 5)
    assert ring is None and "No such file" in note
    small_block(16).array.view(np.int64)[:] = -1
