"""The `pixels` of a client, which knows nothing of this project, are our pixels in every bit."""

import io
import json
import runpy
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ernie_vil2.config.model import PIXEL_PROFILES, PixelProfile
from ernie_vil2.data.images.pixels import preprocess
from ernie_vil2.data.images.resize import CENTRES, resized_sides
from ernie_vil2.errors import ImageError
from ernie_vil2.export.client_program import ONNX_RUNTIME, OPENVINO, PADDLE_INFERENCE, client_source, write_client
from ernie_vil2.export.pixels_description import LONG_SIDES, ORDER, centre_of, pixels_description

PROFILES = {
    **PIXEL_PROFILES,
    "opencv bicubic": PixelProfile(interpolation="bicubic", resize="square", resize_to=90, size=80),
    "pillow linear": PixelProfile(decoder="pil", resize="short_side", resize_to=75, size=64, wide_range="clipped"),
    "tensor cut": replace(PIXEL_PROFILES["brivl"], size=96, resize_to=131),
}
SIDES = [(61, 96), (240, 180), (224, 224), (500, 333), (256, 700), (35, 35)]
RUNTIMES = {"onnx": ONNX_RUNTIME, "openvino": OPENVINO, "paddle": PADDLE_INFERENCE}
TOKENIZER = {"version": "1.0", "added_tokens": [], "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}


@pytest.fixture(params=list(PROFILES))
def profile(request):
    return PROFILES[request.param]


@pytest.fixture
def client(tmp_path):
    """Function (profile) -> what a client of it defines."""

    def define(profile):
        about = {"image": {"pixels": pixels_description(profile)}, "text": {"tokens": {"tokenizer": TOKENIZER}}}
        (tmp_path / "export.json").write_text(json.dumps(about), encoding="utf-8")
        write_client(tmp_path, OPENVINO, profile)
        return runpy.run_path(str(tmp_path / "client.py"))

    return define


@pytest.fixture
def pictures(tmp_path, random_image, image_bytes):
    """Files of the kinds that people have, one of them turned by its EXIF, one with a name beyond ASCII."""
    turned = Image.Exif()
    turned[0x0112] = 6
    files = {f"{height}x{width}.jpg": image_bytes(random_image(height, width), "JPEG") for height, width in SIDES}
    scene = random_image(120, 77)
    files |= {
        "turned.jpg": image_bytes(scene, "JPEG", exif=turned.tobytes()),
        "grey.jpg": image_bytes(scene, "JPEG", mode="L"),
        "ink.jpg": image_bytes(scene, "JPEG", mode="CMYK"),
        "图.png": image_bytes(scene),
        "palette.png": image_bytes(scene, mode="P"),
        "two.png": image_bytes(scene, mode="1"),
        "lossy.webp": image_bytes(scene, "WEBP"),
        "plain.bmp": image_bytes(scene, "BMP"),
    }
    for mode in ("RGBA", "LA"):
        image = Image.fromarray(scene).convert(mode)
        image.putalpha(Image.fromarray(random_image(120, 77, 3)[:, :, 0]))
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        files[f"{mode}.png"] = buffer.getvalue()
    paths = []
    for name, data in files.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(data)
    return paths


def test_pixels_are_ours(profile, client, pictures):
    pixels = client(profile)["pixels"]
    for path in pictures:
        found, wanted = pixels(str(path)), preprocess(path, profile)
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape), path.name
        np.testing.assert_array_equal(found, wanted, err_msg=path.name)


@pytest.mark.parametrize("profile", ["official", "brivl"])
def test_a_file_that_is_no_picture_is_named(profile, client, tmp_path):
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(OSError if profile == "brivl" else ValueError, match=r"a\.jpg"):
        client(PROFILES[profile])["pixels"](str(tmp_path / "a.jpg"))


def test_a_picture_that_is_refused_for_its_shape_is_told_of(tmp_path):
    path = tmp_path / "line.png"
    Image.new("RGB", (3000, 1)).save(path)
    with pytest.raises(ImageError):
        preprocess(path, PROFILES["official"])
    assert "so long and thin that" in pixels_description(PROFILES["official"])["in_words"][-1]


def wide(tmp_path):
    path = tmp_path / "wide.png"
    Image.fromarray(np.arange(0, 64 * 700, 16, np.uint16).reshape(50, 56)).save(path)
    return path


def test_16_bits_are_cut_off_refused_or_halved_as_the_profile_says(client, tmp_path):
    path = wide(tmp_path)
    for name in ("official", "brivl"):
        pixels = client(PROFILES[name])["pixels"](str(path))
        np.testing.assert_array_equal(pixels, preprocess(path, PROFILES[name]))
    with pytest.raises(ValueError, match="over 8 bits"):
        client(PROFILES["clip"])["pixels"](str(path))


def test_formulas_are_those_of_the_resize():
    for rule, formula in LONG_SIDES.items():
        for height in range(1, 60, 7):
            for width in range(1, 60):
                names = {"short": min(height, width), "long": max(height, width), "resize_to": 24}
                names |= {"height": height, "width": width}
                long = eval(formula, names)
                found = eval(ORDER, names | {"long": long})
                assert found == resized_sides(height, width, 24, rule), (rule, height, width)
        assert centre_of(PixelProfile(resize=rule)).rpartition(".")[2] == CENTRES[rule].__name__


@pytest.mark.parametrize("runtime", list(RUNTIMES))
def test_a_client_imports_nothing_of_ours_and_is_short(runtime, profile):
    for boxed in (False, True):
        source = client_source(RUNTIMES[runtime], profile, boxed)
        compile(source, "client.py", "exec")
        assert "ernie_vil2" not in source and ("paddle" in source) == (runtime == "paddle")
        assert max(map(len, source.splitlines())) <= 120 and len(source.splitlines()) <= 110
