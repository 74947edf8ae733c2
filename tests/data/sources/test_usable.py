"""One rule says which rows are bad, and one how many may be: check, shard, training and doctor agree."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from ernie_vil2.cli.data.main import main
from ernie_vil2.config.model import PIXEL_PROFILES
from ernie_vil2.data.batches.loader import Loader, Order
from ernie_vil2.data.batches.row_counts import RowCounts
from ernie_vil2.data.batches.views import ViewMaker
from ernie_vil2.data.check.check import check
from ernie_vil2.data.images.limits import Limits
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.sources.tar.write import write_shards
from ernie_vil2.data.sources.usable import too_many_bad
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.errors import ConfigError, DataError
from ernie_vil2.training.loop import BadRows

CAUSES = {
    "not an image": 1,
    "damaged image": 1,
    "truncated image": 1,
    "too large": 1,
    "missing image": 1,
    "bad id": 1,
    "empty caption": 1,
}


@pytest.fixture
def mixed(tmp_path, random_image, image_bytes):
    """A source of 20 rows of which rows 0 to 6 are bad, each in its own way."""
    photo = image_bytes(random_image(120, 160), "JPEG")
    middle = len(photo) // 2
    files = {
        "page.jpg": b"<html>not found</html>",
        "torn.jpg": photo[:middle] + photo[middle + len(photo) // 20 :],
        "cut.jpg": photo[:-200],
        "thread.png": image_bytes(np.zeros((1, 9000, 3), np.uint8)),
        "good.jpg": photo,
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    rows = [{"image": name, "text": "一只猫"} for name in ("page.jpg", "torn.jpg", "cut.jpg", "thread.png", "none.jpg")]
    rows += [{"image": "good.jpg", "text": "一只猫", "id": "two\nlines"}, {"image": "good.jpg", "text": " "}]
    rows += [{"image": "good.jpg", "text": f"猫 {number}"} for number in range(13)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return open_source(tmp_path / "rows.jsonl")


@pytest.fixture
def maker(tiny_vocab):
    def build(**options):
        return ViewMaker(("image", "caption"), Tokenizer(tiny_vocab), PIXEL_PROFILES["official"], **options)

    return build


def load(source, maker, epochs=1):
    order = Order(source.shard_sizes(), len(source), 0)
    loader = Loader(source, maker, order, epochs, workers=0, max_bad=1.0)
    return loader, [error for _, bad in loader for error in bad]


def test_check_shard_and_training_call_the_same_rows_bad(mixed, maker, tmp_path):
    report = check(mixed)
    assert report.causes == CAUSES and report.bad == 7
    loader, bad = load(mixed, maker())
    assert loader.counts.causes == CAUSES
    assert sorted(error.where for error in bad) == sorted(row.where for row in report.bad_rows)
    done = write_shards(mixed, tmp_path / "out")
    assert (done["samples"], done["bad"]) == (13, 7)
    assert (tmp_path / "out" / "bad.txt").read_text().splitlines() == [
        f"{row.where}: {row.reason}; {row.fix}" for row in report.bad_rows
    ]
    again = check(open_source(tmp_path / "out"))
    assert (again.samples, again.bad) == (13, 0)


def test_damaged_pictures_are_kept_by_all_where_that_is_told(mixed, maker, tmp_path, capsys):
    keep = Limits(keep_damaged=True)
    kept = {cause: count for cause, count in CAUSES.items() if cause != "damaged image"}
    assert check(mixed, limits=keep).causes == kept
    assert load(mixed, maker(limits=keep))[0].counts.causes == kept
    assert main(["check", mixed.name, "--damaged", "keep"]) == 1 and "6 bad rows:" in capsys.readouterr().out
    main(["shard", mixed.name, str(tmp_path / "out"), "--damaged", "keep"])
    assert "14 samples in 1 tar" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="holds shards with keep_damaged True, not False"):
        write_shards(mixed, tmp_path / "out")


def test_a_row_counts_once_however_often_it_is_drawn(mixed, maker, tmp_path):
    loader, bad = load(mixed, maker(), epochs=3)
    assert len(bad) == 7 and str(loader.counts) == "7 of 20 rows are bad and were replaced 21 times"
    notes = BadRows(tmp_path / "bad.txt", loader.counts, SimpleNamespace(size=1))
    for _ in range(2):  # as a run that is resumed
        notes.note(bad)
    assert len((tmp_path / "bad.txt").read_text().splitlines()) == 7
    assert notes.summary() == (
        f"note: 7 of 20 rows are bad and were replaced 21 times, they are listed in {tmp_path / 'bad.txt'}"
    )
    assert "times on this rank" in BadRows(tmp_path / "bad.txt", loader.counts, SimpleNamespace(size=2)).summary()


def test_counts_are_of_different_rows():
    counts, errors = RowCounts(100), {}
    for index in (3, 8, 15, 16, 99):
        errors[index] = DataError(f"row {index}")
        errors[index].index, errors[index].cause, errors[index].where = index, "torn", f"rows:{index}"
    counts.draw(np.array([3, 3, 8, 15, 40]))
    assert counts.replace([errors[3], errors[3], errors[8]]) == [errors[3], errors[8]]
    counts.draw(np.arange(20))
    assert counts.replace([errors[8], errors[16], errors[99]]) == [errors[16], errors[99]]
    assert (counts.seen, counts.bad, counts.replaced, dict(counts.causes)) == (21, 4, 6, {"torn": 4})


@pytest.mark.parametrize("bad, seen, wanted", [(8, 501, False), (10, 501, True), (10, 1000, False)])
def test_how_many_may_be_bad(bad, seen, wanted):
    assert too_many_bad(bad, seen, 0.01) is wanted
