"""Tables as spreadsheets write them: any line ends, cells of any length, Chinese headers, paths of Windows."""

import csv
import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.data.sources import lines
from ernie_vil2.data.sources.base import RowError
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.sources.rows.cells import cells, leaves_quote_open
from ernie_vil2.errors import ConfigError, DataError

LONG = "文" * 150_000


@pytest.fixture
def photos(tmp_path):
    for name in ("a.jpg", "photos/b.jpg", r"back\slash.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def table(folder, text, name="t.csv", **options):
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_source({"path": str(folder / name), **options})


def texts(source):
    return [sample.texts for sample in source]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r", "\r\r\n", "\r" * 21, "\n\r", "\r\n" * 20])
@pytest.mark.parametrize("last", [True, False])
def test_any_line_end_parts_rows_and_nothing_else(photos, ends, last):
    rows = ["image,text", "a.jpg,一", '"photos/b.jpg","两\n行,"', "a.jpg,三"]
    source = table(photos, ends.join(rows) + ends * last)
    assert texts(source) == [("一",), ("两\n行,",), ("三",)] and not source.notes


def test_line_ends_may_be_mixed(photos):
    source = table(photos, "image,text\na.jpg,x" + "\r" * 20 + "photos/b.jpg,y\r\na.jpg,z\r")
    assert texts(source) == [("x",), ("y",), ("z",)]
    assert [source.where(row)[-2:] for row in range(3)] == [":2", "22", "23"]


def test_line_ends_at_the_edge_of_a_chunk_are_one(photos, monkeypatch):
    text = "image,text\r\na.jpg,xyz\r\n\r\nphotos/b.jpg,猫\rphotos/b.jpg,狗\r\n"
    for size in range(4, 40):
        monkeypatch.setattr(lines, "CHUNK_BYTES", size)
        assert texts(table(photos, text)) == [("xyz",), ("猫",), ("狗",)]
        monkeypatch.setattr(lines, "CHUNK_BYTES", 2 * size)
        assert texts(table(photos, text.encode("utf-16"))) == [("xyz",), ("猫",), ("狗",)]


@pytest.mark.parametrize("place", ["header", "cell"])
def test_a_cell_may_have_any_length(photos, place):
    text = f"image,text,{LONG}\na.jpg,x,y\n" if place == "header" else f"image,text,note\na.jpg,x,{LONG}\n"
    assert texts(table(photos, text)) == [("x",)]
    assert texts(table(photos, f'image,text\na.jpg,"{LONG}"\n')) == [(LONG,)]


def test_what_a_spreadsheet_adds_is_left_out(photos):
    assert texts(table(photos, "sep=;\r\nimage;text;;\r\na.jpg;x;;;;\r\nphotos/b.jpg;y;;\r\n")) == [("x",), ("y",)]
    assert texts(table(photos, 'image,"te\nxt",text\na.jpg,1,x\n')) == [("x",)]


@given(st.lists(st.text(st.sampled_from('ab",;\t\r\n \0文')), min_size=1, max_size=6), st.sampled_from(",;\t"))
def test_cells_are_those_that_were_written(row, delimiter):
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\r\n").writerow(row)
    assert cells(written.getvalue(), delimiter) == row


@given(st.text(st.sampled_from('ab", 文'), min_size=1, max_size=20))
def test_cells_of_any_text_are_those_of_python(record):
    assert cells(record) == next(csv.reader([record]))
    whole = f"{record}\n"
    for cut in range(len(record)):  # that a quote is open is known line by line
        head, tail = whole[:cut].encode(), whole[cut:].encode()
        if record[cut - 1 : cut] == "文" and record[cut] not in '",':
            inside = leaves_quote_open(head, b",")
            assert not inside or leaves_quote_open(tail, b",", True) == leaves_quote_open(whole.encode(), b",")


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_chinese_names_of_columns_are_known(photos, suffix):
    rows = {
        "csv": "图片,描述,标签\na.jpg,一只猫,猫、狗\n",
        "tsv": "图片\t描述\t标签\na.jpg\t一只猫\t猫、狗\n",
        "jsonl": '{"图片": "a.jpg", "描述": "一只猫", "标签": ["猫", "狗"]}\n',
    }
    (sample,) = table(photos, rows[suffix], f"t.{suffix}")
    assert (sample.id, sample.texts, sample.tags) == ("a.jpg", ("一只猫",), ("猫", "狗"))
    assert len(table(photos, rows[suffix], f"t.{suffix}", columns={"text": "标签"})[0].texts[0]) in (1, 3)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_columns_may_be_named(photos, suffix):
    rows = {
        "csv": " Bild ;Text;caption;价格;标题\na.jpg;falsch;falsch;7;richtig\n",
        "tsv": "Bild\tText\tcaption\t价格\t标题\na.jpg\tfalsch\tfalsch\t7\trichtig\n",
        "jsonl": '{"Bild": "a.jpg", "text": "falsch", "caption": "falsch", "价格": "7", "标题": "richtig"}\n',
    }
    source = table(photos, rows[suffix], f"t.{suffix}", columns={"image": "Bild", "text": "标题", "id": "价格"})
    assert [(sample.id, sample.texts) for sample in source] == [("7", ("richtig",))]


@pytest.mark.parametrize("none", ["", None])
def test_ids_that_number_rows_may_be_left_out(photos, none):
    rows = {"csv": "编号,图片,标题,\n1,a.jpg,x,\n2,a.jpg,y,\n", "jsonl": '{"id": 1, "image": "a.jpg", "text": "x"}\n'}
    for suffix, text in rows.items():
        numbered = [sample.id for sample in table(photos, text, f"t.{suffix}")]
        source = table(photos, text, f"t.{suffix}", columns={"id": none})
        assert numbered == ["1", "2"][: len(source)]
        assert {sample.id for sample in source} == {source.key(0)} == {"a.jpg"}


def test_it_is_told_what_the_columns_were_taken_for(photos):
    text = "编号,图片,标题,备注,\n1,a.jpg,x,主推,\n"
    assert table(photos, text).notes[-1].endswith("takes 编号 as id, 图片 as image, 标题 as text; passes over 备注")
    named = table(photos, text, columns={"text": "备注", "id": ""}).notes[-1]
    assert named.endswith("takes 图片 as image, 备注 as text; passes over 编号, 标题")
    assert not table(photos, "image,text,,\na.jpg,x,,\n").notes


def test_a_first_line_of_excel_alone_is_no_row_of_the_sheet(photos):
    source = table(photos, "sep=;\nimage;text\na.jpg;x\n\na.jpg;y\n")
    assert [source.where(row).rpartition(":")[2] for row in range(2)] == [
        "3 (row 2 of the sheet)",
        "5 (row 4 of the sheet)",
    ]


@pytest.mark.parametrize(
    "columns, words",
    [
        ({"txt": "标题"}, "'txt' is no key of a row; did you mean 'text'"),
        ({"image": "标题", "text": "标题"}, "'标题' is named twice"),
        ("标题", "is no mapping; write"),
        ([], "is no mapping"),
        ({"caption": ""}, "no column is named for caption, which every row needs"),
        ({"text": "标提"}, "no column '标提', which columns names for text; did you mean '标题'"),
        (None, "描述 and 标题 are there, each for text; name the one"),
    ],
)
def test_columns_that_cannot_be_meant_are_one_sentence(photos, columns, words):
    with pytest.raises((ConfigError, DataError)) as caught:
        table(photos, "image,描述,标题\na.jpg,x,y\n", columns=columns)
    assert words in str(caught.value)
    if columns is None:
        with pytest.raises(RowError, match="each for text; name the one"):
            table(photos, '{"image": "a.jpg", "描述": "x", "标题": "y"}\n', "t.jsonl")[0]


def test_paths_of_windows_are_paths(photos):
    rows = [r"photos\b.jpg", r".\photos\b.jpg", "photos/b.jpg", r"back\slash.jpg"]
    source = table(photos, "image,text\n" + "".join(f"{row},x\n" for row in rows))
    ids = [sample.id for sample in source]
    assert ids == ["photos/b.jpg"] * 3 + [r"back\slash.jpg"] == [source.key(row) for row in range(4)]
    assert [sample.image.name for sample in source] == ["b.jpg"] * 3 + [r"back\slash.jpg"]
    (sample,) = table(photos, '{"image": "photos\\\\b.jpg", "text": "x"}', "t.jsonl")
    assert sample.image == photos / "photos" / "b.jpg"
    for path in (r"C:\photos\c.jpg", "D:/photos/c.jpg", r"\\host\photos\c.jpg"):
        with pytest.raises(RowError, match="is an absolute path of Windows; name the file relative to"):
            table(photos, f"image,text\n{path},x\n")[0]
    outside = table(photos / "photos", "image,text\n..\\a.jpg,x\n")
    with pytest.raises(RowError, match="outside"):
        outside[0]


def test_images_of_a_folder_that_rows_name_with_backslashes_are_used(photos):
    (photos / "captions.csv").write_text("image,text\nphotos\\b.jpg,x\n")
    assert sorted(path.name for path in open_source(photos).unused_files()) == ["a.jpg", r"back\slash.jpg"]


def test_unicode_text_of_excel_is_a_table(photos):
    text = "图片\t描述\r\nphotos\\b.jpg\t一只猫\r\n".encode("utf-16")
    for spec in ({"kind": "tsv"}, {"kind": "folder", "metadata": "t.txt"}):
        (photos / "t.txt").write_bytes(text)
        path = photos if "metadata" in spec else photos / "t.txt"
        source = open_source({"path": str(path), **spec})
        assert texts(source) == [("一只猫",)] and "read as UTF-16" in source.notes[0]


def test_a_file_whose_name_lies_on_the_disk_in_gbk_is_found(photos):
    (photos / os.fsdecode("图片.jpg".encode("gbk"))).write_bytes(b"y")
    (sample,) = table(photos, "image,text\n图片.jpg,x\n")
    assert sample.image.read_bytes() == b"y" and sample.id == "图片.jpg"
    with pytest.raises(RowError, match="'猫.jpg' does not exist"):
        table(photos, "image,text\n猫.jpg,x\n")[0]


def test_a_row_in_gbk_between_others_says_so(photos):
    source = table(photos, b"image,text\n" + b"a.jpg,x\n" * 30 + "a.jpg,一只狗在跑\n".encode("gbk"))
    with pytest.raises(RowError, match=r"t.csv:32: the row is not UTF-8 .*; save the file as UTF-8, which may be GBK"):
        source[30]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_blank_lines_cost_no_look_at_each(photos, encoding, monkeypatch):
    blank, looked = "\n \r\n\r" * 20_000, []
    monkeypatch.setattr(os, "pread", lambda *given, pread=os.pread: looked.append(1) or pread(*given))
    text = f"image,text\n{blank}a.jpg,一只猫在睡{blank}photos/b.jpg,狗\n{blank}" + "\ufeff\n" * (encoding == "utf-8")
    assert texts(table(photos, text.encode(encoding))) == [("一只猫在睡",), ("狗",)] and len(looked) < 50


def test_rows_without_a_word_are_no_rows(photos):
    source = table(photos, 'image,text,\r\na.jpg,x,\r\n,,\r\n , ,\r\na.jpg,"y\r\n,,\r\nz",\r\n,,\r\n')
    assert texts(source) == [("x",), ("y\r\n,,\r\nz",)]
    assert [source.where(row).rpartition(":")[2] for row in range(2)] == ["2", "5"]
    with pytest.raises(DataError, match="a header but no rows"):
        table(photos, "image,text\n,\n,\n")


def test_a_path_of_windows_whose_end_is_there_says_what_to_delete(photos):
    for path, front in ((r"D:\图 库\photos\b.jpg", "D:\\图 库\\"), ("E:/a.jpg", "E:/")):
        with pytest.raises(RowError) as caught:
            table(photos, f"image,text\n{path},x\n")[0]
        assert caught.value.fix == f"delete '{front}' from it, the rest is a file of the folder"
        assert f"the image '{path}' is" in caught.value.reason
        assert len(table(photos, f"image,text\n{path},x\n".replace(front, ""))[0].texts) == 1


def test_no_end_of_a_path_of_windows_leads_out_of_the_folder(photos):
    (photos.parent / "secret.jpg").write_bytes(b"")
    for path in (r"C:\\etc\passwd", r"C:\..\secret.jpg"):
        with pytest.raises(RowError) as caught:
            table(photos, f"image,text\n{path},x\n")[0]
        assert caught.value.fix.startswith("name the file relative to")


@pytest.mark.parametrize(
    ("header", "hint"),
    [
        ("图片,商品说明", "rename '商品说明', or name"),
        ("图片,txt", "rename 'txt', or name"),
        ("图片,卖点", "add one, or name"),
        ("商品图片描述,编号", "add one, or name"),
        ("商品图片描述,商品主图片", "rename '商品主图片', or name"),
        ("photos\\b.jpg,一只猫", "it seems to be a row already"),
    ],
)
def test_a_header_without_pictures_or_captions_says_what_to_write(photos, header, hint):
    with pytest.raises(DataError) as caught:
        table(photos, f"{header}\na.jpg,x\n")
    assert f"; {hint}" in str(caught.value)


@pytest.mark.parametrize("name", ["t.csv", "2024: a, b #1.csv"])
@pytest.mark.parametrize("column", ["商品说明", '"说明, 商品"', "说明: 长"])
def test_what_the_message_about_a_header_tells_can_be_given(photos, name, column):
    with pytest.raises(DataError) as caught:
        table(photos, f"图片,{column}\na.jpg,x\n", name)
    assert "描述" in str(caught.value)
    option = str(caught.value).split("as in '")[1].removesuffix("'")
    assert texts(open_source(option)) == [("x",)]


def test_a_workbook_is_told_how_to_become_a_table(tmp_path):
    (tmp_path / "商品.xlsx").write_bytes(b"PK\3\4")
    with pytest.raises(DataError, match="save the sheet as CSV"):
        open_source(tmp_path / "商品.xlsx")
