"""What is a picture and what is litter, wherever a folder or a tar is listed."""

import io
import tarfile

import cv2
import numpy as np
import pytest
from PIL import Image

from ernie_vil2.data.images.formats.kinds import SIGNATURES, kind_of
from ernie_vil2.data.images.headers import READERS
from ernie_vil2.data.sources.folder import FolderSource
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.evaluation.benchmarks.benchmark_folder import Folder
from ernie_vil2.evaluation.benchmarks.classification.class_folders import read_folder
from ernie_vil2.evaluation.benchmarks.reading import Reading
from ernie_vil2.files.paths.litter import is_litter, lies_in_litter

PICTURE = Image.fromarray(np.arange(12 * 10 * 3, dtype=np.uint8).reshape(12, 10, 3))
NAMES = {"a.jfif": "JPEG", "b.avif": "AVIF", "c.jp2": "JPEG2000", "d": "PNG", "e.JPG": "JPEG", "f.jpg_large": "JPEG"}
LITTER = (
    ".DS_Store",
    "._e.JPG",
    "Thumbs.db",
    "THUMBS.DB",
    "desktop.ini",
    "__MACOSX/._e.JPG",
    "@eaDir/e.JPG",
    ".x/e.JPG",
)


def file_of(kind):
    buffer = io.BytesIO()
    PICTURE.save(buffer, kind, **({"sizes": [(10, 10)]} if kind == "ICO" else {}))
    return buffer.getvalue()


def filled(folder, captions=""):
    """A folder with a picture of each name, a file of notes, and litter that would be a picture or is none."""
    for name, kind in NAMES.items():
        put(folder / name, file_of(kind))
        if captions:
            put((folder / name).with_suffix(captions), b"a cat")
    put(folder / "README", b"PNG and JPEG")
    for name in LITTER:
        put(folder / name, file_of("JPEG"))
        if "/" in name or name[0] == ".":
            put((folder / name).with_suffix(".txt"), b"litter")
    return folder


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_litter_is_told_by_any_part_of_a_path():
    assert all(map(lies_in_litter, LITTER))
    assert not any(map(is_litter, [*NAMES, "thumbs", "MACOSX", ".", "..", "desktop.ini.jpg"]))
    assert not lies_in_litter("./photos/../a.jpg")


def test_class_folders_hold_every_picture_and_no_litter(tmp_path):
    for name in ("cat", "dog"):
        filled(tmp_path / name)
    for name in ("__MACOSX", "@eaDir", ".git", "#recycle"):
        filled(tmp_path / name)
    found = read_folder(tmp_path, Reading())
    assert found.classes == [("cat",), ("dog",)]
    assert [path.name for path in found.images] == sorted(NAMES) * 2


def test_stem_folders_hold_every_picture_and_no_litter(tmp_path):
    source = open_source(str(filled(tmp_path, ".txt")))
    assert sorted(sample.image.name for sample in source) == sorted(NAMES)
    assert {sample.texts for sample in source} == {("a cat",)} and source.notes == []


def test_a_stem_keeps_its_dots_where_the_picture_has_no_suffix(tmp_path):
    put(tmp_path / "v1.2", file_of("PNG"))
    put(tmp_path / "v1.2.txt", b"a cat")
    put(tmp_path / "v1.3", b"no picture")
    put(tmp_path / "v1.3.txt", b"a dog")
    (sample,) = open_source(str(tmp_path))
    assert sample.image.name == "v1.2" and sample.id == "v1.2"


def test_tars_hold_every_picture_and_no_litter(tmp_path):
    names = {name: kind for name, kind in NAMES.items() if not name.endswith("_large")}
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in [*names, *LITTER, "notes"]:
            stem = name.rpartition(".")[0] or name
            content = file_of(names.get(name, "JPEG")) if name != "notes" else b"nothing to see"
            for member_name, data in ((name, content), (f"{stem}.txt", b"a cat")):
                member = tarfile.TarInfo(f"./{member_name}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    source = open_source(str(tmp_path / "x.tar"))
    assert [kind_of(sample.image) for sample in source] == list(names.values())
    put(tmp_path / "Thumbs.db", b"")
    put(tmp_path / "__MACOSX" / "._x.tar", b"")
    put(tmp_path / "._x.tar", b"")
    assert len(open_source(str(tmp_path))) == len(names)


def test_a_folder_of_litter_beside_a_table_is_what_its_other_files_make_it(tmp_path):
    filled(tmp_path)
    put(tmp_path / "._train_imgs.tsv", b"")
    put(tmp_path / "captions.csv", "image,text\na.jfif,一只猫\nd,一只狗\n".encode())
    source = open_source(str(tmp_path))
    assert isinstance(source, FolderSource)
    assert sorted(path.name for path in source.unused_files()) == ["b.avif", "c.jp2", "e.JPG"]


def test_benchmarks_find_pictures_by_content_and_pass_over_litter(tmp_path):
    images = Folder(filled(tmp_path)).images()
    assert images.path("a").name == "a.jfif" and images.path("d").name == "d" and images.path("e").name == "e.JPG"
    assert images.path("README") is None


@pytest.mark.parametrize(
    "kind", sorted({"JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF", "ICO"})
)
def test_a_kind_is_told_by_content(kind):
    assert kind_of(file_of(kind)) == kind
    assert {kind for kind, _ in SIGNATURES} == {*READERS, "HEIC"}


def test_text_and_films_are_no_pictures():
    for content in (b"", b"BM is a company in Peking, of which more", b"P1 was first", b"RIFF....WAVE", b"II. Chapter"):
        assert kind_of(content + bytes(64)) is None
    assert kind_of(b"\0\0\0\x20ftypisom" + bytes(64)) is None
    assert kind_of(cv2.imencode(".hdr", np.zeros((4, 4, 3), np.float32))[1].tobytes()) == "HDR"
