"""Whatever ends a writer, at whatever moment: the index opens, shows one of its commits, and the same work goes on."""

import errno
import os

import pytest

from ernie_vil2.errors import UserError
from ernie_vil2.search.store import snapshot as snapshots
from ernie_vil2.search.store.check import check
from ernie_vil2.search.store.compact import compact
from ernie_vil2.search.store.manifest import MANIFEST
from ernie_vil2.search.store.merge import merge
from ernie_vil2.search.store.snapshot import open_snapshot
from ernie_vil2.search.store.writer import open_writer
from tests.search.store.faults import count_of, counted, full_disk, killed
from tests.search.store.indexes import content, manifest, pictures, sentences, unit

BATCHES, BATCH = 9, 3
CHANGED = "另/{}.jpg"


def make_neighbours(part, place):
    (place / "flat.bin").write_bytes(part.live_ids().tobytes())
    return {"kind": "flat", "bound": part.bound}


def work(folder, told=lambda folder: None):
    """Fill an index in batches, change, remove and compact: each only where it is not done yet, as a scan does.
    told: called after each batch that was committed."""
    with open_writer(folder, manifest()) as writer:
        writer.root("图", "/图", "folder")
        for batch in range(BATCHES):
            numbers = range(BATCH * batch, BATCH * (batch + 1))
            if writer.snapshot.images.bound > numbers[0]:
                continue
            text = writer.text_id("caption", f"第{batch}张图")
            text = writer.add_texts(sentences([batch]), unit([batch]))[0] if text is None else text
            writer.add(pictures(numbers, texts=lambda number, text=text: (int(text),)), unit(numbers))
            if batch:
                writer.change([numbers[0] - 2], pictures([100 + batch]))
                writer.remove([numbers[0] - 1])
            writer.commit()
            told(folder)
        if "image" not in writer.snapshot.manifest.neighbours:
            writer.set_neighbours("image", make_neighbours)
            writer.commit()
        compact(writer)


def again(folder):
    """The same work, by a process that nobody disturbs."""
    with counted(lambda name, arguments: None):
        work(folder)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """(what the index shows after each batch, how many calls the work takes) when nobody disturbs it."""
    states = [{"image": {}, "text": {}}]
    folder = tmp_path_factory.mktemp("undisturbed")
    work(folder / "index", lambda place: states.append(content(place)))
    return states, count_of(lambda: work(folder / "counted"))


def state_number(folder, states):
    """Which of the undisturbed states an index is in; one that was not begun is in the first."""
    if not (folder / MANIFEST).exists():
        return 0
    assert check(folder) == []
    found = content(folder)
    return states.index(found)


def moments(calls, share):
    """Some moments of a job, in all of its phases, the last ones included."""
    return sorted({*range(0, calls, share), *range(calls - 5, calls)})


def check_kills(folder, undisturbed, share):
    states, calls = undisturbed
    seen = set()
    for moment in moments(calls, share):
        place, log = folder / str(moment), folder / f"{moment}.log"
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT)

        def disturbed(place=place, descriptor=descriptor):
            work(place, lambda place: os.write(descriptor, b"."))

        assert killed(disturbed, moment)
        os.close(descriptor)
        number, returned = state_number(place, states), log.stat().st_size
        assert returned <= number <= returned + 1
        seen.add(number)
        again(place)
        assert content(place) == states[-1] and check(place) == []
        assert named_alone(place)
    assert seen >= set(range(len(states)))  # nothing was proved about a phase in which no kill fell


def named_alone(folder):
    """Whether an index has nothing on the disk but what its manifest names."""
    manifest = open_snapshot(folder).manifest
    segments = {path.name for path in (folder / "segments").iterdir()}
    places = {path.name for path in (folder / "neighbours").iterdir()}
    named = {segment.name for segment in manifest.segments}
    files = {path.name for path in folder.iterdir()} - {"lock", MANIFEST, "segments", "neighbours"}
    removed = {manifest.removed.file} if manifest.removed else set()
    return segments == named and places == {manifest.neighbours["image"]["place"]} and files == removed


def test_a_kill_at_a_moment_loses_at_most_the_batch_in_flight(tmp_path, undisturbed):
    check_kills(tmp_path, undisturbed, 31)


@pytest.mark.slow
def test_a_kill_at_any_moment_loses_at_most_the_batch_in_flight(tmp_path, undisturbed):
    check_kills(tmp_path, undisturbed, 1)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_is_one_sentence_and_nothing_is_lost(tmp_path, undisturbed, number):
    states, _ = undisturbed
    for moment in moments(count_of_writes(tmp_path / "counted"), 83):
        place = tmp_path / str(moment)
        with pytest.raises(UserError) as error, full_disk(moment, number):
            work(place)
        assert "\n" not in str(error.value) and os.strerror(number) in str(error.value), moment
        state_number(place, states)
        again(place)
        assert content(place) == states[-1] and named_alone(place)


def count_of_writes(folder):
    with full_disk(10**9) as numbers:
        work(folder)
    return next(numbers)


def test_a_disk_that_fails_when_the_manifest_is_in_its_place_loses_nothing(tmp_path):
    with open_writer(tmp_path, manifest()) as writer:
        calls = []

        def before(name, arguments):
            if calls and calls[-1] == "replace" and name in ("open", "fsync"):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            calls.append(name)

        writer.add(pictures(range(3)), unit(range(3)))
        with pytest.raises(UserError), counted(before):
            writer.commit()
        assert len(content(tmp_path)["image"]) == 3
    assert len(content(tmp_path)["image"]) == 3


def test_a_disk_that_has_room_again_takes_the_next_commit_of_the_same_writer(tmp_path):
    with open_writer(tmp_path / "index", manifest()) as writer:
        writer.add(pictures(range(3)), unit(range(3)))
        with pytest.raises(UserError, match="is kept"), full_disk(1):
            writer.add(pictures(range(3, 6)), unit(range(3, 6)))
            writer.commit()
        assert len(writer.commit().images) == 0
        writer.add(pictures(range(3)), unit(range(3)))
        writer.commit()
    assert len(open_snapshot(tmp_path / "index").images) == 3


def test_a_merge_that_is_killed_goes_on(tmp_path):
    for name, numbers in {"one": range(4), "other": range(2, 9)}.items():
        with open_writer(tmp_path / name, manifest()) as writer:
            writer.root("图", "/图", "folder")
            writer.add_texts(sentences(numbers), unit(numbers))
            writer.add(pictures(numbers, texts=lambda number, first=numbers[0]: (number - first,)), unit(numbers))
            writer.commit()

    def join(place):
        for name in ("one", "other"):
            with open_writer(place, manifest()) as writer:
                merge(writer, [open_snapshot(tmp_path / name)])

    join(tmp_path / "straight")
    calls = count_of(lambda: join(tmp_path / "counted"))
    wanted = shown(tmp_path / "straight")
    assert len(wanted) == 9
    for moment in range(calls // 2, calls, 5):
        place = tmp_path / str(moment)
        killed(lambda place=place: join(place), moment)
        with counted(lambda name, arguments: None):
            join(place)
        assert shown(place) == wanted and check(place) == []


def shown(folder):
    """{key: (vector, its texts)} of living pictures."""
    snapshot = open_snapshot(folder)
    rows = snapshot.images.take(snapshot.images.live_ids(), ["id", "key", "texts"]).to_pylist()
    texts = {row["id"]: row["text"] for row in snapshot.texts.take(snapshot.texts.live_ids()).to_pylist()}
    vectors = snapshot.images.vectors([row["id"] for row in rows])
    return {
        row["key"]: (vector.tobytes(), [texts[number] for number in row["texts"]])
        for row, vector in zip(rows, vectors, strict=True)
    }


def test_readers_open_an_index_while_it_is_rewritten(tmp_path):
    folder = tmp_path / "index"
    work(folder)
    wanted = content(folder)

    def before(name, arguments):
        if name in ("unlink", "rmdir", "replace"):
            seen.append(content(folder) == wanted)

    seen = []
    with open_writer(folder) as writer:
        with counted(before):
            for _ in range(6):
                writer.change([0], pictures([0], texts=lambda number: (0,)))
                writer.commit()
            compact(writer)
    assert len(seen) > 10 and all(seen)


def test_a_reader_that_a_writer_overtakes_reads_the_manifest_again(tmp_path, monkeypatch):
    work(tmp_path)
    wanted, real = content(tmp_path), snapshots.read_manifest

    def overtaken(folder):
        found = real(folder)
        monkeypatch.setattr(snapshots, "read_manifest", real)
        with open_writer(folder) as writer:
            writer.add(pictures([500]), unit([500]))
            writer.remove(writer.add(pictures([501]), unit([501])))
            writer.remove([writer.manifest.next_ids["image"] - 2])
            compact(writer)
        assert not (folder / "segments" / found.segments[0].name).exists()
        return found

    monkeypatch.setattr(snapshots, "read_manifest", overtaken)
    assert content(tmp_path) == wanted
