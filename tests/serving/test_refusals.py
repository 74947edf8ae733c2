"""What is refused: by which code, in one sentence, in the language of who asks."""

import re

import pytest

from ernie_vil2.serving.refusals import Refusal, language_of, refused
from ernie_vil2.serving.sentences import SENTENCES
from tests.serving.conftest import WIDTH

CHINESE = re.compile("[\u4e00-\u9fff]")
FIELDS = re.compile(r"{(\w+)[^}]*}")
TEXT = {"parts": [{"text": "海"}]}
# name: (what is asked, status, code, what the English sentence says)
WRONG = {
    "too many hits": ({"k": 100_000}, 422, "invalid", "k: must be at most 200"),
    "no hits": ({"k": 0}, 422, "invalid", "k: must be at least 1"),
    "half a hit": ({"k": 1.5}, 422, "invalid", "k: must be a whole number"),
    "a deep page": ({**TEXT, "k": 200, "page": 51}, 400, "k_too_large", "at most 10000 hits"),
    "an unknown field": ({"kk": 1}, 422, "invalid", "kk: is not known"),
    "an unknown part": ({"parts": [{"sound": "x"}]}, 422, "invalid", "parts[0]: must have one of text, id"),
    "two parts in one": ({"parts": [{"text": "x", "id": 1}]}, 422, "invalid", "parts[0].id: is not known"),
    "no weight": ({"parts": [{"text": "x", "weight": 0}]}, 422, "invalid", "parts[0].weight: must be above 0"),
    "too many parts": ({"parts": [{"id": 1}] * 33}, 422, "invalid", "parts: must have at most 32 entries"),
    "a number for a text": ({"parts": [{"text": 5}]}, 422, "invalid", "parts[0].text: must be a text"),
    "an unknown kind": ({**TEXT, "of": "sounds"}, 422, "invalid", "of: must be one of 'images'"),
    "a threshold of 2": ({**TEXT, "threshold": 2}, 422, "invalid", "threshold: must be at most 1"),
    "an unknown threshold": ({**TEXT, "threshold": "fit"}, 400, "threshold", "did you mean 'fits'"),
    "a threshold of others": ({**TEXT, "threshold": "alike"}, 400, "threshold", "was calibrated on pairs image-image"),
    "a wrong filter": ({"filter": "foldr:x"}, 400, "filter", "did you mean 'folder'"),
    "an unknown source": ({"filter": "source:x"}, 400, "filter", "there is no source 'x'"),
    "a long filter": ({"filter": "x" * 4001}, 422, "invalid", "filter: must have at most 4000 characters"),
    "nothing to read": ({"parts": [{"text": " \n\u200b"}]}, 400, "text_empty", "the text is empty"),
    "control characters": ({"parts": [{"text": "\x00\x1b\x07"}]}, 400, "text_empty", "the text is empty"),
    "a long text": ({"parts": [{"text": "海" * 10_000}]}, 400, "text_too_long", "has 10000 characters"),
    "a picture that is not": ({"parts": [{"id": 5}]}, 404, "no_picture", "has no picture 5"),
    "a negative picture": ({"parts": [{"id": -1}]}, 422, "invalid", "parts[0].id: must be at least 0"),
    "an unknown index": ({"parts": [{"id": 5, "index": "nope"}]}, 404, "no_index", "there is no index nope"),
    "another model": ({"parts": [{"id": 1, "index": "other"}]}, 409, "other_model", "with another model"),
    "an unknown upload": ({"parts": [{"upload": "x" * 24}]}, 409, "upload_unknown", ""),
    "a short vector": ({"parts": [{"vector": [1]}]}, 400, "vector", f"give {WIDTH} numbers"),
    "no direction": ({"parts": [{"vector": [0] * WIDTH}]}, 400, "vector", "no direction"),
    "what cancels": ({**TEXT, "minus": TEXT["parts"]}, 400, "parts_cancel", "cancel each other"),
    "texts of nothing": ({"of": "captions"}, 400, "nothing_asked", "nothing is asked for"),
}


def one_sentence(text):
    return len(text) < 480 and "\n" not in text and text.isprintable()


def test_every_refusal_has_a_code_and_a_sentence_in_both_languages(still):
    for name, (asked, status, code, told) in WRONG.items():
        english, chinese = (still.search("photos", language, **asked) for language in ("en-GB,en;q=0.9", "zh-CN"))
        assert english.status == chinese.status == status, (name, english.body)
        assert english.error[0] == chinese.error[0] == code, name
        assert told in english.error[1] and not CHINESE.search(english.error[1].replace("海", "")), name
        assert CHINESE.search(chinese.error[1]) and chinese.error[1] != english.error[1], name
        assert one_sentence(english.error[1]) and one_sentence(chinese.error[1]), name
        assert english.headers["content-language"] == "en" and chinese.headers["content-language"] == "zh"
    assert still.search("photos", **TEXT).status == 200


def test_texts_for_vectors_without_a_model_are_refused(still):
    code, sentence = still.search("vectors", **TEXT).error
    assert code == "model_missing" and "vectors" in sentence
    assert still.search("vectors", parts=[{"id": 1}]).status == 200


def test_what_is_no_request_is_refused(still):
    for body in (b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"k": 1, "k": }'):
        reply = still.ask("POST", "/api/indexes/photos/search", body, **{"content-type": "application/json"})
        assert reply.status in (400, 422) and one_sentence(reply.error[1]), (body, reply.body)
    assert still.get("/api/nothing").error[0] == "no_page"
    reply = still.ask("PUT", "/api/indexes")
    assert reply.status == 405 and reply.error[0] == "method"
    assert still.get("/api/indexes/nope/facets").error == (
        "no_index",
        "there is no index nope here; see the list of indexes",
    )


@pytest.mark.parametrize("code", SENTENCES)
def test_sentences_of_both_languages_name_the_same_or_less(code):
    english, chinese = SENTENCES[code]
    assert code == "invalid" or CHINESE.search(chinese)  # whose words come with what is wrong
    assert not CHINESE.search(english)
    values = dict.fromkeys(FIELDS.findall(english + chinese), 5)
    told = [Refusal(400, code, **values).sentence(language) for language in ("en", "zh")]
    assert all("{" not in sentence and one_sentence(sentence) for sentence in told)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("zh", "zh"),
        ("zh-Hans-CN,en;q=0.5", "zh"),
        ("en-US,zh;q=0.9", "en"),
        ("fr,zh;q=0.3,en;q=0.4", "en"),
        ("zh;q=0", "en"),
        ("zh;q=x", "en"),
        ("*", "en"),
        ("," * 5000 + "zh", "en"),
    ],
)
def test_the_language_is_the_one_that_is_wanted_most(accepted, language):
    assert language_of(accepted) == language


def test_details_that_no_sentence_names_are_not_answered():
    from ernie_vil2.errors import DataError

    with pytest.raises(Refusal) as found, refused("model_missing", 503, index="photos"):
        raise DataError("/secret/place: is not there")
    record = found.value.record("en")["error"]
    assert record["values"] == {"index": "photos"} and "secret" not in str(record)
    assert Refusal(422, "invalid", field="k", wrong="is", wrong_zh="是").record("zh")["error"] == {
        "code": "invalid",
        "message": "k：是",
        "values": {"field": "k", "wrong": "is"},
    }


@pytest.mark.parametrize(
    ("given", "told"),
    [("foldr:x", "没有“foldr”；是否应为 folder？"), ("qqq:x", "没有“qqq”；可用"), ("tag:", "“tag:”无法理解；")],
)
def test_a_wrong_filter_is_told_in_chinese_with_what_may_be_meant(still, given, told):
    sentence = still.search("photos", "zh-CN", filter=given).error[1]
    assert told in sentence and "caption、date、folder" in sentence
