"""Parquet tables give the same samples as what they were made from, by groups of rows; hostile ones give a sentence."""

import base64
import io
import multiprocessing
import pickle
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.sources.parquet import groups, table
from ernie_vil2.errors import ConfigError, DataError

ROWS, GROUP = 25, 10
HUGGING_FACE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.fixture
def pictures(random_image, image_bytes):
    return [image_bytes(random_image(8, 8, number)) for number in range(ROWS)]


@pytest.fixture
def write(tmp_path):
    def written(columns, name="photos.parquet", **options):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table(columns), path, **{"row_group_size": GROUP, **options})
        return path

    return written


def captions():
    return [f"图{number}" for number in range(ROWS)]


def refusal(spec):
    with pytest.raises(DataError) as error:
        source = open_source(spec)
        list(source)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500
    return str(error.value)


def forms(pictures):
    """Columns of the same pictures and captions, as different programs write them."""
    texts, paths = captions(), [f"{number}.png" for number in range(ROWS)]
    both = [{"bytes": data, "path": path} for data, path in zip(pictures, paths, strict=True)]
    views = pa.array(pictures, pa.binary_view()) if hasattr(pa, "binary_view") else pictures
    return {
        "bytes": {"image": pictures, "text": texts},
        "hugging_face": {"image": pa.array(both, HUGGING_FACE), "caption": texts, "filename": paths},
        "img2dataset": {"jpg": pictures, "caption": texts, "key": paths, "file_name": paths, "width": [8] * ROWS},
        "large": {"image": pa.array(pictures, pa.large_binary()), "text": pa.array(texts, pa.large_string())},
        "views": {"image": views, "text": pa.array(texts, pa.string_view())},
        "dictionaries": {
            "image": pa.array(pictures).dictionary_encode(),
            "text": pa.array(texts).dictionary_encode(),
        },
        "chinese": {"图片": pictures, "描述": texts},
        "capitals": {"Image": pictures, "TEXT": texts},
        "texts_as_bytes": {"image": pictures, "text": [text.encode() for text in texts]},
    }


@pytest.mark.parametrize("form", forms([b""] * ROWS))
def test_every_form_gives_the_bytes_and_captions_of_each_row_in_any_order(write, pictures, form):
    path = write(forms(pictures)[form])
    source = open_source(path)
    assert len(source) == ROWS and source.shard_sizes() == [10, 10, 5]
    for row in np.random.default_rng(0).permutation(ROWS):
        sample = source[row]
        assert (sample.image, sample.texts) == (pictures[row], (f"图{row}",))
        assert sample.id == source.key(row) == f"{path}#{row + 1}"
        assert sample.where == source.where(row) == f"{path}:{row + 1}"


def test_lists_tags_boxes_and_ids_are_read(write, pictures):
    columns = {
        "image": pictures,
        "texts": [[text, "又"] for text in captions()],
        "tags": [["狗", "草"]] * ROWS,
        "boxes": [[[0.0, 0.0, 2.0, 3.0]]] * ROWS,
        "id": list(range(ROWS)),
    }
    source = open_source(write(columns))
    assert source[7].texts == ("图7", "又") and source[7].tags == ("狗", "草")
    assert source[7].boxes == ((0.0, 0.0, 2.0, 3.0),)
    assert source[7].id == source.key(7) == "7"


def test_columns_may_stand_in_any_order(write, pictures):
    path = write({"tags": ["狗"] * ROWS, "t": captions(), "p": pictures, "id": captions()})
    source = open_source({"path": path, "columns": {"id": "id", "image": "p", "text": "t"}})
    assert (source[3].image, source[3].texts, source[3].tags, source[3].id) == (pictures[3], ("图3",), ("狗",), "图3")


def test_other_names_are_given_by_columns(write, pictures):
    path = write({"主图": pictures, "卖点": captions(), "text": ["别的"] * ROWS})
    source = open_source({"path": path, "columns": {"image": "主图", "text": "卖点"}})
    assert (source[3].image, source[3].texts) == (pictures[3], ("图3",))
    assert "did you mean '主图'?" in refusal({"path": path, "columns": {"image": "主图片"}})
    assert "none of its columns ('主图, 卖点, text') has pictures" in refusal(path)
    with pytest.raises(ConfigError, match="no key of a row"):
        open_source({"path": path, "columns": {"picture": "主图"}})


@pytest.mark.parametrize(
    ("name", "again"), [("image", "image"), ("Image", "image"), ("图片", "图片"), ("jpg", "jpg"), ("Bild", "Bild")]
)
def test_a_column_that_is_there_twice_is_refused(tmp_path, pictures, name, again):
    columns = [pa.array(pictures), pa.array(captions()), pa.array(pictures)]
    pq.write_table(pa.Table.from_arrays(columns, [name, "text", again]), tmp_path / "twice.parquet")
    told = refusal({"path": tmp_path / "twice.parquet", **({"columns": {"image": name}} if name == "Bild" else {})})
    assert f"has the column '{again}' twice" in told


def test_base64_is_read_from_either_column(write, pictures):
    coded = [str(base64.b64encode(data), "ascii") for data in pictures]
    for name in ("image_base64", "image"):
        assert open_source(write({name: coded, "text": captions()}))[3].image == pictures[3]


def test_images_that_are_files_stay_in_the_folder(write, tmp_path, pictures):
    (tmp_path / "secret.png").write_bytes(pictures[0])
    path = write({"image": ["a.png", "../secret.png", "none.png"], "text": ["一", "二", "三"]}, "in/photos.parquet")
    (tmp_path / "in/a.png").write_bytes(pictures[1])
    source = open_source(path)
    assert source[0].image == tmp_path / "in/a.png" and source[0].id == source.key(0) == "a.png"
    with pytest.raises(DataError, match="outside the folder"):
        source[1]
    with pytest.raises(DataError, match="does not exist"):
        source[2]
    assert open_source({"path": path, "allow_outside": True})[1].image.name == "secret.png"
    mixed = pa.array([{"bytes": None, "path": "a.png"}, {"bytes": None, "path": "/etc/passwd"}], HUGGING_FACE)
    source = open_source(write({"image": mixed, "text": ["一", "二"]}, "in/mixed.parquet"))
    assert source[0].image == tmp_path / "in/a.png" and source[0].id == source.key(0)
    with pytest.raises(DataError, match="outside the folder"):
        source[1]


def test_nulls_and_values_that_cannot_be_used_are_bad_rows_with_their_place(write, pictures):
    bad = pa.array([b"ab\xff", b"b", b"c", b"d"]).view(pa.string())
    path = write(
        {
            "image": [pictures[0], None, b"", pictures[3]],
            "text": bad,
            "id": ["a", "b", "c", None],
            "filename": ["photos.parquet"] * 4,
        }
    )
    errors = []
    good = list(open_source(path).samples("skip", errors))
    assert [sample.id for sample in good] == [f"{path}#4"]
    assert [error.where for error in errors] == [f"{path}:{row}" for row in (1, 2, 3)]
    assert [error.cause for error in errors] == ["unreadable value", "no image", "no image"]


def test_files_of_a_folder_and_a_glob_are_one_source_with_ids_of_their_own(write, tmp_path, pictures):
    for name in ("set/b.parquet", "set/a.parquet", "set/.hidden.parquet"):
        write({"image": pictures[:3], "text": captions()[:3], "id": ["x", "y", None]}, name)
    (tmp_path / "set/README.md").write_text("a data set")
    for spec in (tmp_path / "set", tmp_path / "set/*.parquet", {"kind": "parquet", "path": tmp_path / "set"}):
        source = open_source(str(spec) if not isinstance(spec, dict) else spec)
        first = tmp_path / "set/a.parquet"
        assert [source.key(row) for row in range(3)] == [f"{first}#x", f"{first}#y", f"{first}#3"]
        assert len({sample.id for sample in source}) == len(source) == 6


def test_img2datasets_tables_beside_tars_stay_passed_over(write, tmp_path, pictures):
    write({"url": ["http://a"], "caption": ["一"]}, "laion/00000.parquet")
    (tmp_path / "laion/00000.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"00000\.tar"):
        open_source(tmp_path / "laion")
    assert "none of its columns ('url, caption') has pictures" in refusal(tmp_path / "laion/00000.parquet")


def read_rows(source, rows):
    return [source[row].image for row in rows]


def test_rows_are_the_same_in_processes_and_after_a_pickle(write, pictures):
    source = open_source(write({"image": pictures, "text": captions()}))
    assert source[0].image == pictures[0]
    rows = [24, 0, 13]
    assert read_rows(pickle.loads(pickle.dumps(source)), rows) == [pictures[row] for row in rows]
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(read_rows, (source, rows)) == [pictures[row] for row in rows]


def test_a_group_is_read_once_while_it_is_kept_and_the_oldest_goes(write, pictures, monkeypatch):
    source, read = open_source(write({"image": pictures, "text": captions()})), []
    part = source.parts[0].file
    monkeypatch.setattr(groups.GROUPS, "_kept", type(groups.GROUPS._kept)())
    monkeypatch.setattr(groups.GROUPS, "_size", 0)
    original = part._read
    monkeypatch.setattr(part, "_read", lambda number, names: read.append(number) or original(number, names))
    [source[row] for row in (0, 9, 10, 24, 5, 19)]
    assert read == [0, 1, 2]
    monkeypatch.setattr(groups, "KEPT_BYTES", 1)
    [source[row] for row in (0, 10, 11, 0)]
    assert read == [0, 1, 2, 1, 0] and len(groups.GROUPS._kept) == 1


def test_keys_are_told_without_reading_pictures(write, pictures, monkeypatch):
    source = open_source(write({"image": pictures, "text": captions(), "id": captions()}))
    part, read = source.parts[0].file, []
    original = part._read
    monkeypatch.setattr(part, "_read", lambda number, names: read.append(names) or original(number, names))
    assert [source.key(row) for row in range(ROWS)] == captions()
    assert read and all("image" not in names for names in read)


def test_what_is_no_table_is_told_in_a_sentence(write, tmp_path, pictures):
    path = write({"image": pictures, "text": captions()})
    whole, spoilt = path.read_bytes(), tmp_path / "spoilt.parquet"
    for content, reason in (
        (b"", "the file is empty"),
        (b"PK\x03\x04" + whole, "no Parquet"),
        (whole[:-1], "cut off"),
        (whole[: len(whole) // 2], "cut off"),
        (whole[:-8] + b"\xff\xff\xff\x7fPAR1", "its footer has"),
        (whole[: -8 - 400] + bytes(400) + whole[-8:], "cannot be read as Parquet"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"PARE" + whole[4:-4] + b"PARE", "encrypted"),
    ):
        spoilt.write_bytes(content)
        assert reason in refusal(spoilt), reason
    assert "the file holds no rows" in refusal(write({"image": pa.array([], pa.binary()), "text": []}, "none.parquet"))
    assert "holds no .parquet" in refusal({"kind": "parquet", "path": tmp_path / "."} | {"path": make(tmp_path / "e")})


def make(folder):
    folder.mkdir()
    return folder


def test_a_damaged_group_is_told_and_read_once_and_the_others_stay(write, pictures, monkeypatch):
    path = write({"image": pictures, "text": captions()}, compression="none", write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[content.index(pictures[12]) + 5] ^= 1
    path.write_bytes(content)
    source, errors, read = open_source(path), [], []
    part = source.parts[0].file
    original = part._read
    monkeypatch.setattr(part, "_read", lambda number, names: read.append(number) or original(number, names))
    assert len(list(source.samples("skip", errors))) == ROWS - GROUP and read == [0, 1, 2]
    assert len(errors) == GROUP and "cannot be read as Parquet" in str(errors[0])


def test_a_file_that_has_changed_is_refused_until_it_is_opened_again(write, pictures):
    path = write({"image": pictures, "text": captions()})
    source = open_source(path)
    write({"image": pictures[::-1], "text": captions()[::-1], "id": captions()})
    with pytest.raises(DataError, match="has changed since it was opened"):
        source[0]
    assert open_source(path)[0].image == pictures[-1]


def test_large_groups_and_those_that_unpack_to_more_are_refused(write, pictures, monkeypatch):
    path = write({"image": [pictures[0] * 20] * 200, "text": ["图"] * 200}, row_group_size=200)
    size = len(pictures[0]) * 20
    monkeypatch.setattr(table, "MAX_GROUP", 3 * size)  # one value in a dictionary, which stands for 200
    assert "unpacks to over" in refusal(path)
    monkeypatch.setattr(table, "MAX_GROUP", size // 2)
    assert "row groups of 100 rows" in refusal(path)


def test_deep_and_wide_schemas_are_refused_or_passed_over(write, pictures):
    deep = pa.string()
    for _ in range(300):
        deep = pa.struct([("a", deep)])
    columns = {"image": pictures[:1], "text": ["一"], "deep": pa.nulls(1, deep)}
    assert len(open_source(write(columns, store_schema=False))) == 1
    wide = {"image": pictures[:1], "text": ["一"], **{f"c{number}": [1] for number in range(table.MAX_LIST)}}
    assert "columns with all that they hold" in refusal(write(wide, "wide.parquet"))


class Trap(pa.ExtensionType):
    """A type whose code must not run when its values are read."""

    def __init__(self):
        super().__init__(pa.binary(), "tests.trap")

    def __arrow_ext_serialize__(self):
        return pickle.dumps("never read")

    @classmethod
    def __arrow_ext_deserialize__(cls, storage, serialized):
        return cls()

    def __arrow_ext_scalar_class__(self):
        raise AssertionError("a scalar of the class was made")


def test_extension_types_are_their_storage_and_metadata_of_pandas_is_not_read(write, pictures):
    trapped = pa.ExtensionArray.from_storage(Trap(), pa.array(pictures))
    frame = pa.table({"image": trapped, "text": captions()})
    frame = frame.replace_schema_metadata({b"pandas": b"{ no JSON", b"huggingface": pickle.dumps(io.BytesIO)})
    path = write({"image": pictures})
    pq.write_table(frame, path)
    assert open_source(path)[4].image == pictures[4]
    again = shutil.copy(path, path.with_name("again.parquet"))  # whose groups nobody has read
    pa.register_extension_type(Trap())
    try:
        assert open_source(again)[4].image == pictures[4]
    finally:
        pa.unregister_extension_type("tests.trap")
