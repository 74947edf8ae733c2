"""The data check counts what a plain, slow count of the same rows gives, whatever is wrong with them."""

import base64
import csv
import json
import statistics
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ernie_vil2.data.check.check import check
from ernie_vil2.data.sources.open import open_source


class CharacterTokenizer:
    """Stands in for a tokenizer: a token per character, [CLS] and [SEP]."""

    max_length = 8

    def lengths(self, texts):
        return np.array([len(text) + 2 for text in texts])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("check")


def write_tsv(path, rows):
    lines = (f"{text}\t{name}\t{base64.b64encode(image).decode()}\n" for text, name, image in rows)
    path.write_text("".join(lines), encoding="utf-8")
    return open_source(path)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "bb", "一只小猫在草地上", " ", "sixsix"]),
            st.sampled_from("xyz"),
            st.sampled_from([b"1", b"2", b"3"]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_counts_equal_a_plain_count(folder, rows):
    report = check(write_tsv(folder / "a.tsv", rows), CharacterTokenizer(), decode_images=False)
    good = [row for row in rows if row[0].strip()]
    first = {name: image for _, name, image in reversed(good)}
    clashing = sum(first[name] != image for _, name, image in good)
    assert report.causes == Counter({"empty caption": len(rows) - len(good)}) + Counter({"id clash": clashing})
    texts, names, images = zip(*good, strict=True) if good else ((), (), ())
    assert (report.rows, report.checked, report.samples, report.bad) == (
        len(rows),
        len(rows),
        len(good) - clashing,
        len(rows) - len(good) + clashing,
    )
    places = [int(row.where.rpartition(":")[2]) for row in report.bad_rows]
    assert places == sorted(places) and len(places) == report.bad

    assert (report.images, report.image_contents) == (len(set(names)), len(set(images)))
    assert report.same_text.count == len(texts) - len(set(texts))
    assert report.same_image.count == len(images) - len(set(images))
    assert report.same_pair.count == len(good) - len({(text, image) for text, _, image in good})
    pairs = set(zip(names, images, strict=True))
    assert report.one_image_many_ids.count == sum(n > 1 for n in Counter(image for _, image in pairs).values())
    assert report.one_id_many_images.count == sum(n > 1 for n in Counter(name for name, _ in pairs).values())
    assert report.truncated == sum(len(text) + 2 > 8 for text in texts)
    assert report.characters["count"] == report.tokens["count"] == len(texts)
    if texts:
        lengths = [len(text) for text in texts]
        assert report.characters["mean"] == pytest.approx(statistics.mean(lengths))
        assert report.characters["median"] == statistics.median_low(lengths)
        assert (report.characters["min"], report.characters["max"]) == (min(lengths), max(lengths))
        assert report.tokens["max"] == max(lengths) + 2
    for repeats in (report.same_text, report.same_pair):
        for later, earlier in repeats.examples:
            later, earlier = (rows[int(place.rpartition(":")[2]) - 1] for place in (later, earlier))
            assert later[0] == earlier[0] and (repeats is report.same_text or later[2] == earlier[2])
    assert "\n\n" not in str(report).strip() or report.bad


def test_places_of_repeats_stay_right_beside_bad_rows_and_several_captions(tmp_path):
    rows = [
        {"image_base64": "AAAA", "texts": ["a", "b"], "id": "1"},
        {"image_base64": "AAAA", "text": " "},
        {"image_base64": "BBBB", "texts": ["c", "b"], "id": "2"},
        {"image_base64": "AAAA", "text": "d", "id": "3"},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    report = check(open_source(path), decode_images=False)
    assert report.same_text.examples == [(f"{path}:3", f"{path}:1")] and report.texts == 5
    assert report.same_image.examples == report.one_image_many_ids.examples == [(f"{path}:4", f"{path}:1")]
    assert report.same_pair.count == report.one_id_many_images.count == 0


def test_two_pictures_of_an_id_are_a_bad_row_that_names_both(tmp_path):
    source = write_tsv(tmp_path / "a.tsv", [("t", "x", b"1"), (" ", "x", b"3"), ("u", "x", b"2"), ("v", "x", b"1")])
    report = check(source, decode_images=False, keep_bad=2)
    assert [row.where for row in report.bad_rows] == [f"{tmp_path}/a.tsv:2", f"{tmp_path}/a.tsv:3"]
    assert report.bad_rows[1].reason == f"the id 'x' has another picture at {tmp_path}/a.tsv:1"
    assert report.one_id_many_images.count == 1 and check(source, decode_images=False, keep_bad=1).bad == 2
    assert [row.cause for row in check(source, decode_images=False, keep_bad=1).bad_rows] == ["empty caption"]


def test_images_are_decoded_and_measured(tmp_path, random_image, image_bytes):
    sizes = [(300, 400), (100, 250), (224, 224)]
    images = [image_bytes(random_image(*size)) for size in sizes]
    broken = [images[0][:200], b"text, no image"]
    source = write_tsv(tmp_path / "a.tsv", [(f"t{i}", f"i{i}", image) for i, image in enumerate([*images, *broken])])
    report = check(source)
    assert (report.samples, report.bad, report.causes) == (3, 2, {"truncated image": 1, "not an image": 1})
    assert [row.where.rpartition(":")[2] for row in report.bad_rows] == ["4", "5"]
    assert all(row.fix and "\n" not in row.reason for row in report.bad_rows)
    assert (report.image_width["max"], report.image_height["min"], report.small_images) == (400, 100, 1)
    hashed = check(source, decode_images=False)
    assert hashed.bad == 0 and hashed.samples == 5 and not hashed.image_width


@pytest.mark.parametrize("decode", [True, False])
def test_boxes_are_counted_in_pixels_of_the_file(tmp_path, random_image, decode):
    image, exif = Image.fromarray(random_image(40, 24)), Image.Exif()  # 24 wide, 40 high
    exif[0x0112] = 6  # OpenCV shows it 40 wide, but boxes are of the picture as it is stored
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "turned.png", exif=exif)
    inside, right, above, point = [0, 0, 24, 40], [20, 1, 24.5, 9], [3, -1, 9, 9], [5, 5, 5, 9]
    boxes = [[inside, right], [above, inside, inside, point, [9, 9, 3, 12], [30, 2, 26, 9]], [], None]
    names = ["a.png", "turned.png"] * 2
    rows = [{"image": name, "text": "x", "boxes": found} for name, found in zip(names, boxes, strict=True)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = check(open_source(tmp_path / "a.jsonl"), decode_images=decode)
    assert report.bad == 0
    assert (report.box_rows, report.boxes, report.boxes_empty) == (2, 8, 3)
    assert report.boxes_outside == (3 if decode else 0)
    outside = "3 leave their image, " if decode else ""
    assert f"boxes            8 in 2 rows: {outside}3 have no area" in str(report)
    without = check(open_source("scenes:size=2,boxes=" + str(empty_boxes(tmp_path))))
    assert without.boxes == 0 and "boxes" not in str(without)


def empty_boxes(folder):
    path = folder / "none.boxes"
    path.write_text("".join(json.dumps({"id": f"train-0-{row}", "boxes": []}) + "\n" for row in range(2)))
    return path


def test_orphans_of_a_folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("a.jpg", "b.PNG", "sub/c.jpg", "sub/unused.webp", ".hidden.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(name.encode())
    with open(tmp_path / "captions.csv", "w", newline="") as handle:
        csv.writer(handle).writerows(
            [("image", "text"), ("a.jpg", "x"), ("./b.PNG", " "), ("sub/c.jpg", "y"), ("gone.jpg", "z")]
        )
    report = check(open_source(tmp_path), decode_images=False)
    assert report.causes == {"missing image": 1, "empty caption": 1}
    assert report.rows_without_file == 1
    assert report.unused_files == [str(tmp_path / "sub" / "unused.webp")] and report.files_without_row == 1
    assert "orphan rows" in str(report) and "unused.webp" in str(report)
    assert "left out by split" in str(report).splitlines()[-1]
    assert "left out by" not in str(check(open_source(tmp_path), limit=1, decode_images=False))


def test_a_table_says_how_to_do_without_ids_that_number_rows(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"a")
    (tmp_path / "t.csv").write_text('编号,图片,标题\n1,a.jpg,"x\ny"\n2,a.jpg,"z\n"\n', encoding="utf-8")
    told = str(check(open_source(tmp_path / "t.csv"), decode_images=False))
    option = f"{{path: {tmp_path / 't.csv'}, columns: {{id: }}}}"
    assert "false negatives; for example" in told and f"by '{option}'" in told
    assert "line breaks      1 text has one" in told  # that at the end of a cell parts nothing
    told = str(check(open_source({"path": str(tmp_path / "t.csv"), "columns": {"id": None}}), decode_images=False))
    assert "ids of an image" not in told
    tsv = write_tsv(tmp_path / "a.tsv", [("x", "1", b"1"), ("y", "2", b"1")])
    assert "give its rows one id" in str(check(tsv, decode_images=False)) and "columns" not in str(check(tsv))


def test_limit_and_kept_rows(tmp_path):
    source = write_tsv(tmp_path / "a.tsv", [("x" if i % 2 else " ", str(i), b"1") for i in range(300)])
    assert (
        check(source, limit=10, decode_images=False).checked,
        check(source, limit=999, decode_images=False).checked,
    ) == (10, 300)
    report = check(source, decode_images=False)
    assert report.bad == 150 and len(report.bad_rows) == 20 and "and 130 more" in str(report)
    everything = check(source, decode_images=False, keep_bad=None)
    assert [int(row.where.rpartition(":")[2]) for row in everything.bad_rows] == list(range(1, 301, 2))


def test_report_as_json_is_whole(tmp_path):
    report = check(
        write_tsv(tmp_path / "a.tsv", [("长" * 20, "1", b"1"), ("x", "2", b"2")]),
        CharacterTokenizer(),
        decode_images=False,
    )
    report.write(tmp_path / "out.json")
    data = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert data == report.to_dict() and data["truncation_rate"] == 50.0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tsv", "out.json"]
