"""Small files in the form in which each benchmark is published, with drawn images and captions that tell rows apart."""

import base64
import io
import json
import pickle

import lmdb
import numpy as np
from PIL import Image

CLEAN, WINDOWS = "clean", "windows"
"""LF without BOM, and CRLF with BOM"""


def picture(number):
    """Bytes of a PNG that no other number gives."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (12, 10, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def put(path, content, style=CLEAN):
    """Write a text, or lines, in a style of line ends."""
    text = content if isinstance(content, str) else "".join(f"{line}\n" for line in content)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode("utf-8")
    path.write_bytes(b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n") if style == WINDOWS else data)
    return path


def put_images(folder, ids, suffix=".jpg"):
    """An image file for every id."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image_id in enumerate(ids):
        (folder / f"{image_id}{suffix}").write_bytes(picture(number))


def captions(ids, each=5):
    """{id: captions}; `each` is a number, or a number per image."""
    each = each if isinstance(each, list) else [each] * len(ids)
    return {
        key: [f"图{number}的第{part}句" for part in range(count)]
        for number, (key, count) in enumerate(zip(ids, each, strict=True))
    }


def coco_ids(count):
    return [f"COCO_{'val' if number % 3 else 'train'}2014_{1000 + number:012d}" for number in range(count)]


def lines_of(texts, mark="#", gap="\t"):
    """Lines `id#n TAB sentence`."""
    return [f"{key}{mark}{part}{gap}{text}" for key, found in texts.items() for part, text in enumerate(found)]


def labelled_lists(folder, draw):
    """Two queries and four images of a database with one of 21 labels each, as lists; draw(path, number): an image."""
    for name, count in (("test", 2), ("database", 4)):
        rows = []
        for number in range(count):
            draw(folder / f"images/{name}{number}.jpg", number)
            marks = [int(number % 2 == 0), int(number % 2), *[0] * 19]
            rows.append(f"images/{name}{number}.jpg {' '.join(map(str, marks))}")
        put(folder / f"{name}.txt", rows)


def coco_cn(folder, style=CLEAN, place="", ids=None):
    """{protocol: {id: captions}} of a folder with all published files, its images in `place` or train2014, val2014."""
    ids = ids or coco_ids(6)
    top = folder / "coco-cn-version1805v1.1"
    human, translated = captions(ids, [1, 2, 1, 1, 1, 1][: len(ids)]), captions(ids)
    others = {"val": ["COCO_val2014_000000000001"], "train": ["COCO_train2014_000000000002"]}
    put(top / "coco-cn_test.txt", ids, style)
    for split, listed in others.items():
        put(top / f"coco-cn_{split}.txt", listed, style)
    rest = lines_of({key: ["别的"] for listed in others.values() for key in listed})
    put(top / "imageid.human-written-caption.txt", [*rest, *lines_of(human)], style)
    put(top / "imageid.manually-translated-caption.txt", lines_of(translated, "#zhm#", " "), style)
    for number, key in enumerate(ids):
        parent = folder / (place or key.split("_")[1])
        parent.mkdir(parents=True, exist_ok=True)
        (parent / f"{key}.jpg").write_bytes(picture(number))
    return {"1053": human, "5k": translated}


def flickr30k_cn(folder, style=CLEAN):
    """VisualSearch's layout, segmented and tagged; the wanted captions."""
    ids, name = [str(1000092795 + number) for number in range(5)], "flickr30kzhmbosontest"
    texts = {key: [f"两:m 个:q 年轻人:n 看{number}:v {part}:m" for part in range(5)] for number, key in enumerate(ids)}
    put(folder / name / "TextData" / f"seg.{name}.caption.txt", lines_of(texts, "#zhm#", " "), style)
    put(folder / name / "ImageSets" / f"{name}.txt", ids, style)
    put_images(folder / "flickr30k-images", ids)
    return {key: [f"两个年轻人看{number} {part}" for part in range(5)] for number, key in enumerate(ids)}


def flickr30k_cna(folder, style=CLEAN):
    """Flickr30k-CNA's layout."""
    texts = captions([str(1000092795 + number) for number in range(5)])
    put(folder / "test" / "flickr30k_cn_test.txt", lines_of(texts, ".jpg#"), style)
    put_images(folder / "images", texts)
    return texts


def karpathy(folder, name, style=CLEAN, count=5):
    """`dataset_coco.json` or `dataset_flickr30k.json` with images of other splits between those of the test."""
    is_coco = name == "mscoco"
    ids = [f"COCO_val2014_{1000 + number:012d}" if is_coco else str(5000 + number) for number in range(count)]
    texts, rows = captions(ids, [5] * (count - 1) + [6]), []
    for number, key in enumerate(ids):
        for split in ("test", "val", "restval") if is_coco else ("test", "val"):
            own = key if split == "test" else f"{split}{number}"
            row = {
                "filename": f"{own}.jpg",
                "split": split,
                "imgid": len(rows),
                "sentences": [{"raw": f"{text}\n", "tokens": [text], "imgid": len(rows)} for text in texts[key]],
            }
            rows.append({**row, "filepath": "val2014", "cocoid": number} if is_coco else row)
    file = "dataset_coco.json" if is_coco else "dataset_flickr30k.json"
    put(folder / file, json.dumps({"images": rows, "dataset": name}, indent=1), style)
    put_images(folder / ("val2014" if is_coco else "flickr30k-images"), ids)
    return texts


def aic_icc(folder, style=CLEAN, count=6):
    """The validation set of AI Challenger 2017."""
    ids = [f"{number:02d}{'ab12' * 9}" for number in range(count)]
    texts, top = captions(ids), folder / "ai_challenger_caption_validation_20170910"
    rows = [{"url": "http://example", "image_id": f"{key}.jpg", "caption": found} for key, found in texts.items()]
    put(top / "caption_validation_annotations_20170910.json", json.dumps(rows, ensure_ascii=False), style)
    put_images(top / "caption_validation_images_20170910", ids)
    return texts


QUERIES = [("高领毛衣", [900, 901]), ("红色 手机壳", [902]), ("毛衣", [901, 902, 903])]
PRODUCTS = [900, 901, 902, 903, 904]


def muge(folder, style=CLEAN, split="valid"):
    """MUGE's files; product 904 is wanted by nobody."""
    images = [f"{key}\t{base64.urlsafe_b64encode(picture(number)).decode()}" for number, key in enumerate(PRODUCTS)]
    put(folder / "Multimodal_Retrieval" / f"MR_{split}_imgs.tsv", images, style)
    rows = [{"query_id": 7 + number, "query_text": text, "item_ids": ids} for number, (text, ids) in enumerate(QUERIES)]
    put(folder / "Multimodal_Retrieval" / f"MR_{split}_queries.jsonl", map(json.dumps, rows), style)


GRADED = [
    ("大宅门", "70001002_a", 1),
    ("大宅门", "70001002_b", 2),
    ("大宅门", "80000851_c", 0),
    ("绝迹", "80000851_c", 2),
    ("绝迹", "70001002_d", 0),
    ("绝迹", "70001002_d", 0),
    ("薛之谦", "70001002_a", 1),
    ("薛之谦", "70001002_e", 1),
]


def cbvs(folder, style=CLEAN):
    """CBVS-20K's file, with covers of several suffixes; one pair comes twice, one query has no document of label 2."""
    lines = [f"{query}\t{document}\thttp://example/{document}/640\t{label}" for query, document, label in GRADED]
    put(folder / "cbvs20k.txt", lines, style)
    documents = list(dict.fromkeys(document for _, document, _ in GRADED))
    for number, document in enumerate(documents):
        (folder / "imgs").mkdir(parents=True, exist_ok=True)
        (folder / "imgs" / f"{document}{('.jpg', '.png', '.webp')[number % 3]}").write_bytes(picture(number))
    return documents


def clip_tsv(folder, texts, split="test", style=CLEAN):
    """Chinese-CLIP's TSV and JSON lines of {image id: captions}."""
    images = [f"{key}\t{base64.urlsafe_b64encode(picture(number)).decode()}" for number, key in enumerate(texts)]
    rows = [(text, key) for key, found in texts.items() for text in found]
    put(folder / f"{split}_imgs.tsv", images, style)
    put(
        folder / f"{split}_texts.jsonl",
        [json.dumps({"text_id": number, "text": text, "image_ids": [key]}) for number, (text, key) in enumerate(rows)],
        style,
    )


def clip_lmdb(folder, texts, split="test"):
    """Chinese-CLIP's lmdb of {image id: captions}."""
    rows = [
        (key, number, text)
        for number, (text, key) in enumerate((text, key) for key, found in texts.items() for text in found)
    ]
    write_lmdb(
        folder / "lmdb" / split / "imgs",
        {str(key): base64.urlsafe_b64encode(picture(number)) for number, key in enumerate(texts)},
        "num_images",
    )
    write_lmdb(
        folder / "lmdb" / split / "pairs",
        {str(number): pickle.dumps(row) for number, row in enumerate(rows)},
        "num_samples",
    )


def write_lmdb(path, content, total):
    path.mkdir(parents=True)
    with lmdb.open(str(path), map_size=1 << 22) as store, store.begin(write=True) as transaction:
        for key, value in {**content, total: str(len(content)).encode()}.items():
            transaction.put(key.encode(), value)


def release_tsv(path, rows, style=CLEAN):
    """The release's own input of (text, image id, number of the picture)."""
    return put(
        path, [f"{text}\t{key}\t{base64.b64encode(picture(number)).decode()}" for text, key, number in rows], style
    )
