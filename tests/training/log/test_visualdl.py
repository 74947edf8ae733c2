"""A VisualDL file that goes on from an older one: wherever a kill cut that, its whole records are carried over."""

import struct

import pytest
from visualdl.proto.record_pb2 import Record
from visualdl.reader.record_reader import RecordReader

from ernie_vil2.training.log.visualdl import Visual


def carried(folder):
    """[step] of what the newest file holds besides scalars and VisualDL's own record."""
    newest = sorted(folder.glob("vdlrecords.*.log"))[-1]
    values = [Record.FromString(data).values[0] for data in RecordReader(str(newest)).get_all()]
    return [value.id for value in values if value.WhichOneof("one_value") not in ("value", "meta_data")]


def resumed(folder, older):
    """What a run that goes on from step 4 shows, with the bytes `older` as the file of the run before."""
    folder.mkdir()
    (folder / "vdlrecords.1.log").write_bytes(older)
    visual = Visual(folder, start_step=4)
    visual.text("note", 5, "new")
    visual.close()
    return carried(folder)


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """(bytes of a small file of steps 2, 4 and 6, [(end, step) of its records that are to be carried over])."""
    folder = tmp_path_factory.mktemp("older")
    visual = Visual(folder)
    for step in (2, 4, 6):
        visual.scalars("train", step, {"loss": 1.0})
        visual.text("note", step, "a")
    visual.close()
    data = next(folder.iterdir()).read_bytes()
    ends, at = [], 0
    while at < len(data):
        length = struct.unpack_from("<Q", data, at)[0]
        value = Record.FromString(data[at + 8 : at + 8 + length]).values[0]
        at += 8 + length
        if value.WhichOneof("one_value") == "text" and value.id <= 4:
            ends.append((at, value.id))
    assert [step for _, step in ends] == [2, 4]
    return data, ends


def test_a_file_cut_at_any_byte_gives_its_whole_records(tmp_path, older):
    data, ends = older
    for cut in range(len(data) + 1):
        steps = resumed(tmp_path / str(cut), data[:cut])
        assert steps == [step for end, step in ends if end <= cut] + [5], cut


@pytest.mark.filterwarnings("ignore:.*cannot be carried over")
@pytest.mark.parametrize("damage", [b"\xff" * 8, b"\0" * 8, struct.pack("<Q", 3) + b"\xff" * 3])
def test_a_damaged_file_stops_no_run(tmp_path, older, damage):
    data, _ = older
    for place in (0, len(data)):
        assert resumed(tmp_path / str(place), data[:place] + damage + data[place:])[-1] == 5


def test_a_file_that_cannot_be_read_stops_no_run(tmp_path):
    (tmp_path / "vdlrecords.1.log").mkdir()
    with pytest.warns(UserWarning, match=r"vdlrecords\.1\.log: cannot be carried over"):
        visual = Visual(tmp_path, start_step=4)
    visual.text("note", 5, "new")
    visual.close()
    assert carried(tmp_path) == [5]
