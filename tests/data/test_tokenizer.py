"""The tokenizer against a plain implementation of the rules, written one character at a time; vocabularies; prompts."""

import hashlib
import json
import pickle
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ernie_vil2.data.tag_prompts import tag_prompt
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.data.vocabulary_file import check_vocab_md5, read_vocab, write_vocab
from ernie_vil2.errors import DataError

SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"]
SMALL = [*SPECIAL, *"一 只 猫 ， ! a cat un ##aff ##able ##s s σ ς ##ς ##σ cafe 1".split()]
IDEOGRAPHS = [
    range(0x4E00, 0xA000),
    range(0x3400, 0x4DC0),
    range(0x20000, 0x2A6E0),
    range(0x2A700, 0x2B740),
    range(0x2B740, 0x2B820),
    range(0x2B820, 0x2CEB0),
    range(0xF900, 0xFB00),
    range(0x2F800, 0x2FA20),
]


# The rules, slowly


def plain_words(text, lower_case):
    cleaned = ""
    for character in text:
        category = unicodedata.category(character)
        if character in " \t\n\r" or category == "Zs":
            cleaned += " "
        elif not category.startswith("C") and character != "\ufffd":
            ideograph = any(ord(character) in block for block in IDEOGRAPHS)
            cleaned += " " + character + " " if ideograph else character
    words = []
    for token in cleaned.split():
        if lower_case:
            decomposed = unicodedata.normalize("NFD", token.lower())
            token = "".join(character for character in decomposed if unicodedata.category(character) != "Mn")
        joined = ""
        for character in token:
            symbol = character.isascii() and character.isprintable() and not character.isalnum() and character != " "
            apart = symbol or unicodedata.category(character).startswith("P")
            joined += " " + character + " " if apart else character
        words += joined.split()
    return words


def plain_pieces(word, vocab):
    pieces, rest = [], word
    while rest and len(word) <= 100:
        head = "##" if pieces else ""
        length = next((size for size in range(len(rest), 0, -1) if head + rest[:size] in vocab), 0)
        if not length:
            return ["[UNK]"]
        pieces.append(head + rest[:length])
        rest = rest[length:]
    return pieces or ["[UNK]"]


def plain_tokens(text, vocab, lower_case=True):
    return [piece for word in plain_words(text, lower_case) for piece in plain_pieces(word, vocab)]


# Fixtures and strategies


@pytest.fixture(scope="module")
def alphabet(tmp_path_factory):
    """{lower_case: Tokenizer} of single characters, first and later in a word; few ideographs and syllables."""
    path = tmp_path_factory.mktemp("alphabet") / "characters.txt"
    codes = [*range(0x3100), *range(0x3100, 0xD800, 5), *range(0xF900, 0x20000), *range(0x20000, 0x30000, 50)]
    codes = dict.fromkeys([*codes, *map(ord, "一只猫狗")])
    singles = [chr(code) for code in codes if unicodedata.category(chr(code))[0] not in "CZ"]
    write_vocab([*SPECIAL, *singles, *("##" + single for single in singles), "the", "##ing", "猫猫"], path)
    return {lower_case: Tokenizer(path, lower_case=lower_case) for lower_case in (True, False)}


@pytest.fixture
def small(tmp_path):
    write_vocab(SMALL, tmp_path / "small.txt")
    return Tokenizer(tmp_path / "small.txt")


ANY_CHARACTER = st.one_of(
    st.integers(0, sys.maxunicode).map(chr),
    st.integers(0, 0x2FFF).map(chr),
    st.sampled_from("\0\t\r\n\x0b\x1c\x1f\x85\xa0\xad\u2000\u2028\u2029\u200b\u202f\u3000\ufeff\ufffd\ud800\udfff"),
    st.sampled_from("İIıΑΣσςßǅﬁ\u0301\u0307\u0345\u030a\u212b\u212a\u1fef\u037e豈한가が，。$^`~a'-[]#"),
    st.sampled_from(["the", "ing", "ΟΔΟΣ", "猫猫", "[UNK]", "##s", "  ", "é", "e\u0301"]),
)
ANY_TEXT = st.lists(ANY_CHARACTER, max_size=30).map("".join)


# The rules


@pytest.mark.parametrize("lower_case", [True, False])
@settings(max_examples=400)
@given(text=ANY_TEXT)
@example(text="ΟΔΟΣ ΟΔΟΣ. ΣΑΣ猫ΟΣ Σ")
@example(text="İstanbul DIŞ ǅ ﬁ ß")
@example(text="a\u0301\u0327 \u0301 \u0301\u0301x \u0345")
@example(text="a\ud83d\ude00b\udfff \ud800")
@example(text="x\u2028y\u2029z\x85w\x1cv\xa0u\u3000t\ufeffs\0r\ufffdq")
def test_every_text_gets_the_pieces_of_the_rules(alphabet, lower_case, text):
    tokenizer = alphabet[lower_case]
    wanted = plain_tokens(text, tokenizer.vocab, lower_case)
    assert tokenizer.tokens(text) == wanted
    ids = [tokenizer.vocab[piece] for piece in wanted]
    assert tokenizer.encode(text).tolist() == [[tokenizer.cls_id, *ids[:46], tokenizer.sep_id]]
    assert tokenizer.lengths(text).tolist() == [len(ids) + 2]


@pytest.mark.parametrize("lower_case", [True, False])
def test_every_character_in_a_word_and_alone(alphabet, lower_case):
    tokenizer = alphabet[lower_case]
    codes = [
        *range(0x3100),
        *range(0xA000, 0xAC00),
        *range(0xD7F0, 0xD810),
        *range(0xF8F0, 0x10000),
        *range(0x10000, 0x20000, 3),
        *range(0x3100, 0x110000, 211),
    ]
    text = " ".join(f"{chr(code)} Ab{chr(code)}Σ" for code in codes)
    assert tokenizer.tokens(text) == plain_tokens(text, tokenizer.vocab, lower_case)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.sets(st.text("abé", min_size=1, max_size=4), max_size=12),
    tails=st.sets(st.text("abe", min_size=1, max_size=4), max_size=12),
    text=st.text("aabbeé ,猫", max_size=60),
)
def test_pieces_are_the_longest_first(tmp_path, words, tails, text):
    write_vocab([*SPECIAL, *sorted(words), *sorted("##" + tail for tail in tails)], tmp_path / "random.txt")
    tokenizer = Tokenizer(tmp_path / "random.txt")
    assert tokenizer.tokens(text) == plain_tokens(text, tokenizer.vocab)


@pytest.mark.parametrize("letter", ["a", "é", "가", "𐐀", "😀", "\u0915"])
@pytest.mark.parametrize("length", [33, 49, 50, 99, 100, 101, 1000])
def test_words_of_over_100_characters_are_unknown(alphabet, letter, length):
    """Characters are counted after decomposition: a Hangul syllable is two or three, an accent none."""
    tokenizer, text = alphabet[True], f"猫{letter * length}，{letter * length}"
    wanted = plain_tokens(text, tokenizer.vocab)
    assert tokenizer.tokens(text) == wanted
    ids = [tokenizer.vocab[piece] for piece in wanted]
    assert tokenizer.encode(text, max_length=len(ids) + 2).tolist() == [[tokenizer.cls_id, *ids, tokenizer.sep_id]]
    assert tokenizer.encode(text)[0, 1:-1].tolist() == ids[:46] and tokenizer.lengths(text) == len(ids) + 2
    decomposed = 2 if letter == "가" else 1
    assert ("[UNK]" in wanted) == (decomposed * length > 100)


def test_a_long_token_of_the_vocabulary_is_unknown_too(tmp_path):
    write_vocab([*SPECIAL, "a" * 100, "a" * 101], tmp_path / "long.txt")
    tokenizer = Tokenizer(tmp_path / "long.txt")
    assert tokenizer.tokens("a" * 100 + " " + "a" * 101) == ["a" * 100, "[UNK]"]


def test_known_pieces(small):
    wanted = ["一", "只", "cafe", "猫", "[UNK]", "un", "##aff", "##able", "##s", "[UNK]"]
    assert small.tokens("  一只Café猫,UNAFFABLES\t！") == wanted
    assert small.tokens("ΣΣ Σ 猫Σ ΣΣ!") == ["σ", "##ς", "σ", "猫", "σ", "σ", "##ς", "!"]
    assert small.tokens("") == small.tokens(" \t\u3000\0\u0301") == []


# Batches


def test_rows_are_padded_to_the_longest(small):
    ids = small.encode(["猫", "一只猫，cat!", ""])
    cls, sep = small.cls_id, small.sep_id
    assert ids.dtype == np.int64
    assert ids.tolist() == [
        [cls, 7, sep, 0, 0, 0, 0, 0],
        [cls, 5, 6, 7, 8, 11, 9, sep],
        [cls, sep, 0, 0, 0, 0, 0, 0],
    ]
    assert small.lengths(["猫", "一只猫，cat!", ""]).tolist() == [3, 8, 2]


def test_the_first_pieces_are_kept(small):
    long = "猫" * 60
    assert small.encode(long).shape == (1, 48)
    assert small.encode(long)[0, -1] == small.sep_id
    assert small.encode([long, "一只猫"], max_length=4).tolist() == [[1, 7, 7, 2], [1, 5, 6, 2]]
    assert small.encode("unaffables", max_length=3).tolist() == [[1, 12, 2]]
    assert small.encode(long, max_length=np.int64(100)).shape == (1, 62)
    assert small.lengths([long]).tolist() == [62]


def test_a_row_does_not_depend_on_its_batch(alphabet):
    texts = ["一只猫", "The thing, sing!", "x" * 40 + ",y", "", "the ing " * 40, "é猫", "z" * 500]
    batch = alphabet[True].encode(texts)
    for text, row in zip(texts, batch, strict=True):
        alone = alphabet[True].encode(text)[0]
        assert row[: len(alone)].tolist() == alone.tolist() and not row[len(alone) :].any()


def test_no_texts(small):
    assert small.encode([]).shape == (0, 2) and small.encode([]).dtype == np.int64
    assert small.lengths([]).shape == (0,) and small.lengths([]).dtype == np.int64


@pytest.mark.parametrize(
    "texts, named",
    [
        (["a", None], r"texts\[1\].*NoneType"),
        (["a", "b", b"c"], r"texts\[2\].*bytes.*decode"),
        ([["a"]], r"texts\[0\].*list"),
        (b"abc", r"texts\[0\].*bytes.*decode"),
        (None, "texts is of type NoneType"),
        (7, "texts is of type int"),
        ([float("nan")], r"texts\[0\].*float"),
    ],
)
def test_what_is_not_text_is_named(small, texts, named):
    for method in (small.encode, small.lengths):
        with pytest.raises(DataError, match=named):
            method(texts)


@pytest.mark.parametrize("length", [2, 0, -1, 48.0, "48", True])
def test_a_length_that_cannot_work_is_named(small, tmp_path, length):
    with pytest.raises(DataError, match="max_length is .* at least 3"):
        small.encode("猫", max_length=length)
    with pytest.raises(DataError, match="max_length is .* at least 3"):
        Tokenizer(tmp_path / "small.txt", max_length=length)


def test_many_words_do_not_change_the_answer(small):
    """More distinct words than are remembered."""
    ids = small.encode(["a猫", *(f"cat{number} a" for number in range(66_000)), "a猫"])
    assert ids[[0, 1, -1], :4].tolist() == [[1, 10, 7, 2], [1, 4, 10, 2], [1, 10, 7, 2]]
    assert (ids[1:-1] == ids[1]).all()
    assert small.encode(["cat猫", "a1"]).tolist() == [[1, 11, 7, 2], [1, 4, 2, 0]]


def test_pickled_and_shared_by_threads(alphabet, small, tmp_path):
    texts = [f"{chr(0x4E00 + number)} word{number} Σ{number}ΟΣ," for number in range(500)]
    wanted = alphabet[True].encode(texts)
    with ThreadPoolExecutor(4) as pool:
        for ids in pool.map(pickle.loads(pickle.dumps(alphabet[True])).encode, [texts] * 8):
            assert (ids == wanted).all()
    copy = pickle.loads(pickle.dumps(Tokenizer(tmp_path / "small.txt", max_length=5, lower_case=False)))
    assert copy.encode("cat CAT猫猫猫").tolist() == [[1, 11, 4, 7, 2]]
    assert vars(copy).keys() == vars(small).keys() and copy.vocab_size == small.vocab_size == len(SMALL)


# The release


def test_ids_of_the_release(shared_parity):
    texts = json.loads((shared_parity / "texts.json").read_text(encoding="utf-8"))
    wanted = np.load(shared_parity / "expected.npz")["input_ids"]
    tokenizer = Tokenizer(shared_parity / "vocab.txt")
    ids = tokenizer.encode(texts)
    assert (ids == wanted[:, : ids.shape[1]]).all() and not wanted[:, ids.shape[1] :].any()
    assert tokenizer.vocab_size == 39980 and len(tokenizer.vocab) == 39979
    assert [tokenizer.pad_id, tokenizer.cls_id, tokenizer.sep_id, tokenizer.mask_id] == [0, 1, 2, 3]
    assert tokenizer.unk_id == 39979
    assert tokenizer.encode("$").tolist() == [[1, 18005, 2]]  # the token that occurs twice
    assert check_vocab_md5(shared_parity / "vocab.txt")


@settings(max_examples=300)
@given(text=ANY_TEXT)
def test_pieces_with_the_vocabulary_of_the_release(official, text):
    assert official.tokens(text) == plain_tokens(text, official.vocab)


@pytest.fixture(scope="module")
def official(shared_parity):
    return Tokenizer(shared_parity / "vocab.txt")


# Vocabularies


def lines(*rows, end="\n"):
    return "".join(row + end for row in rows)


WITH_IDS = lines(*(f"{token}\t{index}" for index, token in enumerate(SMALL)))
ONE_A_LINE = lines(*SMALL)


@pytest.mark.parametrize(
    "content",
    [
        WITH_IDS,
        ONE_A_LINE,
        WITH_IDS.rstrip("\n"),
        ONE_A_LINE.rstrip("\n"),
        ONE_A_LINE + "\n\n",
        WITH_IDS + "\n \n",
        "\ufeff" + WITH_IDS,
        "\ufeff" + ONE_A_LINE,
        WITH_IDS.replace("\n", "\r\n"),
        ONE_A_LINE.replace("\n", "\r\n"),
        "\ufeff" + ONE_A_LINE.replace("\n", "\r"),
        WITH_IDS.replace("\n", " \n"),
    ],
)
def test_forms_of_a_vocabulary(tmp_path, small, content):
    path = tmp_path / "form.txt"
    path.write_bytes(content.encode())
    assert read_vocab(path) == {token: index for index, token in enumerate(SMALL)}
    tokenizer = Tokenizer(str(path))
    assert tokenizer.vocab_size == len(SMALL)
    assert tokenizer.encode("一只cats!").tolist() == small.encode("一只cats!").tolist()


def test_gaps_and_repeated_tokens(tmp_path):
    path = tmp_path / "gaps.txt"
    rows = ["[PAD]\t0", "[CLS]\t7", "$\t12", "[SEP]\t5", "[UNK]\t90", "$\t40", "猫\t30"]
    rows += ["\u00a0\t31", "\u2028\u0085x\t32"]
    path.write_text(lines(*rows), encoding="utf-8")
    tokenizer = Tokenizer(path)
    assert tokenizer.encode("$猫狗\u00a0x").tolist() == [[7, 40, 30, 90, 32, 5]]
    assert (tokenizer.vocab_size, tokenizer.mask_id, tokenizer.unk_id) == (91, None, 90)
    path.write_text(lines("[PAD]", "[UNK]", "", "猫", "[CLS]", "[SEP]", "猫"), encoding="utf-8")
    assert Tokenizer(path).encode("猫").tolist() == [[4, 6, 5]]


@pytest.mark.parametrize(
    "content, named",
    [
        (b"", "vocabulary is empty"),
        (b"\n\r\n \n", "vocabulary is empty"),
        (b"\xef\xbb\xbf", "vocabulary is empty"),
        (b"[PAD]\t0\n[CLS]\t1\nx\n", r":3: the line 'x' is not `token TAB id`"),
        (b"[PAD]\t0\n[CLS]\tone\n", r":2: the line .*one' is not `token TAB id`"),
        (b"[PAD]\t0\n[CLS]\t-1\n", ":2: "),
        (b"[PAD]\t0\n[CLS]\t1\t2\n", ":2: "),
        (b"[PAD]\t0\n[CLS]\t\n", ":2: "),
        ("[PAD]\t0\n[CLS]\t²\n".encode(), ":2: "),
        (b"[PAD]\t0\n[CLS]\t12345678901\n", ":2: "),
        (b"[PAD]\n[CLS]\n[SEP]\t2\n", ":3: .* is not one token without a TAB"),
        (b"[PAD]\t0\n\xff\xfe\t1\n", ":2: the vocabulary is not UTF-8"),
        (WITH_IDS.encode("utf-16-le"), "not UTF-8"),
        (b"[PAD]\t0\n[CLS]\t1\n[MASK]\t2\n", r"lacks \[SEP\], \[UNK\]"),
        (b"a b c\n", r"lacks \[PAD\], \[CLS\]"),
        (b"[CLS]\n[PAD]\n[SEP]\n[UNK]\n", r"are \[1, 0, 2, 3\], but must be 0 for \[PAD\]"),
        (b"[PAD]\t0\n[CLS]\t1\n[SEP]\t1\n[UNK]\t3\n", "all different"),
    ],
)
def test_a_broken_vocabulary_is_one_sentence(tmp_path, content, named):
    path = tmp_path / "broken.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=named) as caught:
        Tokenizer(path)
    assert str(caught.value).startswith(str(path)) and "give the vocab.txt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_vocabulary_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "absent.txt", tmp_path, None, "nul\0.txt"):
        with pytest.raises(DataError, match="cannot be read .*give the vocab.txt"):
            Tokenizer(path)
    with pytest.raises(DataError, match="cannot be read"):
        check_vocab_md5(tmp_path / "absent.txt")


def test_written_vocabularies_are_whole(tmp_path):
    path = tmp_path / "vocab_written.txt"
    write_vocab(iter(SMALL), path)
    content = path.read_bytes()
    assert content.startswith(b"[PAD]\t0\n[CLS]\t1\n") and content.endswith(b"\n")
    assert read_vocab(path) == {token: index for index, token in enumerate(SMALL)}
    assert not check_vocab_md5(path)
    for bad in (["a", "b", "a"], [""], [" a"], ["a\tb"], ["a\nb"], ["a\rb"], ["\ud800"], [b"a"], [None], ["\u3000"]):
        with pytest.raises(DataError, match=r"tokens? \d"):
            write_vocab([*SPECIAL, *bad], path)
    assert path.read_bytes() == content and list(tmp_path.iterdir()) == [path]
    with pytest.raises(DataError, match="cannot be written"):
        write_vocab(SMALL, tmp_path / "absent" / "vocab.txt")


def test_the_md5_is_of_the_whole_file(tmp_path, shared_parity):
    content = (shared_parity / "vocab.txt").read_bytes()
    assert hashlib.md5(content).hexdigest() == "f3f369709b51cf924884236f54e25b08"
    (tmp_path / "near.txt").write_bytes(content + b"\n")
    assert not check_vocab_md5(tmp_path / "near.txt")


# Prompts


def test_tag_prompts():
    assert tag_prompt(["红色汽车", "蓝天"], "zh") == "该图片包含红色汽车、蓝天"
    words = ["concrete sidewalk", "blue sky", "red car"]
    assert tag_prompt(words, "en") == "The picture contains concrete sidewalk, blue sky, red car"
    assert tag_prompt((" 猫 ", "", "\t", "狗"), "zh") == "该图片包含猫、狗"
    assert tag_prompt("猫", "zh") == "该图片包含猫"
    assert tag_prompt([], "zh") == tag_prompt([" "], "en") == tag_prompt((), "en") == ""


def test_prompts_that_cannot_be_made():
    with pytest.raises(DataError, match="zh and en, not in 'fr'"):
        tag_prompt(["chat"], "fr")
    with pytest.raises(DataError, match=r"tags\[1\].*NoneType"):
        tag_prompt(["a", None], "en")
    with pytest.raises(DataError, match="tags is of type NoneType"):
        tag_prompt(None, "en")


def test_rules_of_paddlenlp_set_symbols_apart_and_change_nothing_else(tmp_path):
    path = tmp_path / "vocab.txt"
    write_vocab(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "2", "5", "25", "℃", "##℃", "×", "猫", "ŋ", "a", "##a"], path)
    bert, paddlenlp = Tokenizer(path), Tokenizer(path, rules="paddlenlp")
    assert bert.tokens("25℃") == ["25", "##℃"] and paddlenlp.tokens("25℃") == ["25", "℃"]
    assert bert.tokens("2×5") == ["[UNK]"] and paddlenlp.tokens("2×5") == ["2", "×", "5"]
    assert paddlenlp.tokens("aŊa") == ["a", "ŋ", "a"] and bert.tokens("aŊa") == ["[UNK]"]
    for text in ("25 猫, a-a!", "aa$a", "猫25猫", ""):
        assert bert.tokens(text) == paddlenlp.tokens(text)
    assert pickle.loads(pickle.dumps(paddlenlp)).tokens("2×5") == ["2", "×", "5"]
