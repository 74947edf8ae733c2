"""What EXIF says of when a picture was taken and how it is turned, in every kind of file that has it."""

import calendar
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ernie_vil2.data.images.exif import exif_facts

TAKEN = "2021:03:04 05:06:07"
SECONDS = calendar.timegm((2021, 3, 4, 5, 6, 7))


def picture(kind, taken=TAKEN, turned=6, nested=True):
    image, buffer = Image.fromarray(np.zeros((4, 6, 3), np.uint8)), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = turned
    if taken:
        (exif.get_ifd(0x8769) if nested else exif)[0x9003] = taken
    image.save(buffer, kind, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_camera_s_clock_and_orientation_are_read(kind):
    assert exif_facts(picture(kind, nested=kind != "TIFF")) == (6, SECONDS)


def test_a_date_in_the_first_directory_is_read():
    assert exif_facts(picture("JPEG", nested=False)) == (6, SECONDS)


@pytest.mark.parametrize("taken", ["", "0000:00:00 00:00:00", "2021:02:30 00:00:00", "    :  :     :  :  ", "2021:03"])
def test_what_is_no_date_is_none(taken):
    assert exif_facts(picture("JPEG", taken)) == (6, None)


def test_a_picture_without_exif_has_none():
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(buffer, "JPEG")
    assert exif_facts(buffer.getvalue()) == exif_facts(b"text") == exif_facts(b"") == (1, None)


@given(st.integers(0, 250), st.integers(0, 255), st.integers(0, 300))
def test_damaged_exif_never_raises(place, value, length):
    data = bytearray(picture("JPEG"))
    data[min(place, len(data) - 1)] = value
    turned, date = exif_facts(bytes(data[: len(data) - length]))
    assert 1 <= turned <= 8 and (date is None or isinstance(date, int))
