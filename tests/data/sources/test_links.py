"""Links of one's own to folders of photos are followed when that is asked for, and else named with what to set."""

import io
import json
import os

import pytest
from PIL import Image

from ernie_vil2.data.sources.open import open_source
from ernie_vil2.errors import DataError


@pytest.fixture
def linked(tmp_path):
    """A folder `set` whose only photos lie behind a link to a folder beside it."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32)).save(buffer, "PNG")
    for folder in ("photos/deep", "set"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "photos/a.png").write_bytes(buffer.getvalue())
    (tmp_path / "photos/a.txt").write_text("猫")
    (tmp_path / "set/linked").symlink_to(tmp_path / "photos")
    (tmp_path / "photos/deep/round").symlink_to(tmp_path / "photos")
    return tmp_path / "set"


def test_a_table_names_the_link_that_leads_out(linked):
    rows = [{"image": f"linked/{name}.png", "text": "猫"} for name in ("a", "deep/round/a")]
    (linked / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    errors = []
    assert not list(open_source(linked).samples("skip", errors)) and len(errors) == 2
    for error in errors:
        assert "behind the link 'linked', which leads out of the folder" in str(error)
        assert "set allow_outside: true" in str(error) and error.cause == "image outside the folder"
    allowed = open_source({"path": str(linked), "allow_outside": True})
    assert [sample.texts for sample in allowed] == [("猫",)] * 2


def test_files_that_share_a_stem_are_found_behind_links_when_that_is_asked_for(linked):
    with pytest.raises(DataError, match="1 link to a folder is passed over, .*linked; set allow_outside: true"):
        open_source({"kind": "files", "path": str(linked)})
    source = open_source({"kind": "files", "path": str(linked), "allow_outside": True})
    assert [sample.id for sample in source] == ["linked/a"] and not source.notes
    (linked / "b.png").write_bytes((linked / "linked/a.png").read_bytes())
    (linked / "b.txt").symlink_to(linked.parent / "photos/a.txt")
    errors, source = [], open_source(linked)
    assert not list(source.samples("skip", errors)) and "set allow_outside: true" in str(errors[0])
    assert len(source.notes) == 1 and "1 link to a folder is passed over" in source.notes[0]


def test_a_source_that_is_a_link_is_a_folder_as_any_other(linked):
    (linked.parent / "photos/captions.csv").write_text("image,text\na.png,猫\n")
    os.symlink(linked.parent / "photos", linked.parent / "here")
    assert open_source(linked.parent / "here")[0].texts == ("猫",)
