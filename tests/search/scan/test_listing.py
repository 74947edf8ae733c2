"""What is in a folder, however odd: nothing that is no file is opened, and nothing is lost without a word."""

import os
import signal
import socket

import pytest

from ernie_vil2.data.images.limits import DEFAULT_LIMITS
from ernie_vil2.errors import DataError
from ernie_vil2.search.scan.folder.content import read_picture
from ernie_vil2.search.scan.folder.listing import list_folder, open_below, opened_folder
from tests.search.scan.conftest import draw


def names(listing):
    return list(listing.paths())


def causes(listing):
    return {path: cause for path, _, _, cause, _ in listing.flaws}


def test_pictures_and_videos_are_found_in_the_order_of_their_names(tmp_path):
    for name in ("b/2.JPG", "b/1.png", "a.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "clip.mp4").write_bytes(b"xyz")
    draw(tmp_path / "no suffix.png", 1)
    os.rename(tmp_path / "no suffix.png", tmp_path / "no suffix")
    listing = list_folder(tmp_path)
    assert names(listing) == [b"a.webp", b"clip.mp4", b"no suffix", b"b/1.png", b"b/2.JPG"]
    assert list(listing.videos) == [0, 1, 0, 0, 0] and listing.sizes[1] == 3


def test_other_files_and_litter_are_passed_over(tmp_path):
    for name in ("notes.txt", "table.csv", ".hidden.png", "Thumbs.db", "__MACOSX/a.png", "a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    listing = list_folder(tmp_path)
    assert names(listing) == [b"a.png"] and listing.others == 2
    assert "2 files that are no pictures" in listing.notes("photos")[0]


def test_names_that_are_no_text_are_found(tmp_path):
    name = "照片.png".encode("gbk")
    with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
        file.write(b"x")
    assert names(list_folder(tmp_path)) == [name]


def test_a_folder_a_thousand_deep_is_walked_and_its_file_read(tmp_path):
    place = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1000):
        os.mkdir("deep-folder", dir_fd=place)
        below = os.open("deep-folder", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    draw(tmp_path / "a.png", 1)
    data = (tmp_path / "a.png").read_bytes()
    file = os.open("x.png", os.O_WRONLY | os.O_CREAT, dir_fd=place)
    os.write(file, data)
    os.close(file)
    os.close(place)
    listing = list_folder(tmp_path)
    assert len(listing) == 2 and len(listing.path(1)) == 12 * 1000 + 5
    with opened_folder(tmp_path) as folder:
        assert read_picture(folder, 0, listing.path(1), DEFAULT_LIMITS).picture == data
    # pytest's own removal of old folders goes by whole paths
    with opened_folder(tmp_path) as folder:
        os.close(open_below(folder, listing.path(1), os.O_RDONLY))
        unlink_deep(folder, listing.path(1).split(b"/"))


def unlink_deep(folder, parts):
    descriptors = [os.dup(folder)]
    for part in parts[:-1]:
        descriptors.append(os.open(part, os.O_RDONLY, dir_fd=descriptors[-1]))
    os.unlink(parts[-1], dir_fd=descriptors[-1])
    for part, above in zip(reversed(parts[:-1]), descriptors[-2::-1], strict=True):
        os.rmdir(part, dir_fd=above)
    for descriptor in descriptors:
        os.close(descriptor)


def test_links_are_not_followed_and_a_circle_ends(tmp_path):
    outside = tmp_path / "outside"
    draw(outside / "o.png", 1)
    folder = tmp_path / "photos"
    draw(folder / "sub/a.png", 2)
    (folder / "inside.png").symlink_to(folder / "sub/a.png")
    (folder / "out.png").symlink_to(outside / "o.png")
    (folder / "circle.png").symlink_to(folder / "circle.png")
    (folder / "nowhere.png").symlink_to("missing")
    (folder / "sub/up").symlink_to(folder)
    (folder / "outside").symlink_to(outside)
    listing = list_folder(folder)
    assert names(listing) == [b"sub/a.png"] and listing.links == 3
    assert set(causes(listing)) == {b"out.png", b"circle.png", b"nowhere.png"}
    followed = list_folder(folder, allow_outside=True)
    assert sorted(names(followed)) == [b"inside.png", b"out.png", b"outside/o.png", b"sub/a.png"]
    assert set(causes(followed)) == {b"circle.png", b"nowhere.png"}


def test_pipes_and_sockets_are_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.png"))
        signal.alarm(10)
        listing = list_folder(tmp_path)
        with opened_folder(tmp_path) as folder:
            fault = read_picture(folder, 0, b"pipe.jpg", DEFAULT_LIMITS)
        signal.alarm(0)
    assert not len(listing) and causes(listing) == dict.fromkeys((b"pipe.jpg", b"s.png"), "unreadable file")
    assert "no regular file" in fault.reason and listing.others == 1


def test_a_folder_that_cannot_be_looked_into_is_told(tmp_path, closed):
    draw(tmp_path / "closed/a.png", 1)
    draw(tmp_path / "b.png", 2)
    closed(b"closed")
    listing = list_folder(tmp_path)
    assert names(listing) == [b"b.png"] and listing.unread == [b"closed"]
    assert causes(listing) == {b"closed": "unreadable folder"}


def test_a_folder_that_vanishes_while_it_is_walked_is_passed_over(tmp_path, monkeypatch):
    draw(tmp_path / "a/x.png", 1)
    draw(tmp_path / "b/y.png", 2)
    seen = []

    def told(count):
        if not seen:
            os.rename(tmp_path / "a", tmp_path.with_name("gone"))
        seen.append(count)

    assert names(list_folder(tmp_path, told=told)) == [b"b/y.png"]


def test_a_missing_folder_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="cannot be looked into.*mount the disk"):
        list_folder(tmp_path / "missing")


def test_the_index_itself_is_not_looked_into(tmp_path):
    draw(tmp_path / "index/a.png", 1)
    draw(tmp_path / "b.png", 2)
    assert names(list_folder(tmp_path, without=[tmp_path / "index"])) == [b"b.png"]
