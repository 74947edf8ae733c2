"""Pairs of texts in every published form, and the correlations that a model gets on them."""

import json

import numpy as np
import pytest

from ernie_vil2.errors import CheckpointError, ConfigError, DataError
from ernie_vil2.evaluation.benchmarks.reading import Reading
from ernie_vil2.evaluation.benchmarks.text_similarity import sts
from ernie_vil2.evaluation.benchmarks.text_similarity.text_pairs import read_pairs
from ernie_vil2.evaluation.left_out import LeftOut
from ernie_vil2.evaluation.metrics.similarity import pearson, spearman

PAIRS = [
    ("花呗怎么还款", "如何还花呗", 1),
    ("今天天气好", "我想吃饭", 0),
    ('a "quoted" man, walking', "a man walks", 1),
]


class Texts:
    """Stands in for a model: a text is a unit vector drawn from its characters."""

    def __init__(self):
        self.seen = []

    def encode_text(self, texts):
        self.seen.append(list(texts))
        rows = np.stack([np.random.default_rng([ord(char) for char in text]).standard_normal(8) for text in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def tabs(pairs):
    return [f"{first}\t{second}\t{label}" for first, second, label in pairs]


def as_json(pairs):
    return [
        json.dumps({"sentence1": first, "sentence2": second, "label": str(label)}, ensure_ascii=False)
        for first, second, label in pairs
    ]


def atec(pairs):
    return [f"{number}\t{row}" for number, row in enumerate(tabs(pairs), 1)]


def cnsd(pairs):
    return [f"{number}||{first}||{second}||{label}" for number, (first, second, label) in enumerate(pairs)]


def benchmark(pairs):
    """The STS benchmark's columns; some rows carry licences behind the texts."""
    rows = [
        f"main-news\theadlines\t2016\t{number:04d}\t{label}\t{first}\t{second}"
        for number, (first, second, label) in enumerate(pairs)
    ]
    return [rows[0], rows[1] + "\tCC-BY\thttp", *rows[2:]]


def glue(pairs):
    return [
        "index\tgenre\tsentence1\tsentence2\tscore",
        *(f"{number}\tnews\t{row}" for number, row in enumerate(tabs(pairs))),
    ]


def commas(pairs):
    return [
        ",".join(f'"{text}"' for text in (first.replace('"', '""'), second)) + f",{label}"
        for first, second, label in pairs
    ]


FORMS = {
    "tabs": tabs,
    "header": lambda pairs: ["text_a\ttext_b\tlabel", *tabs(pairs)],
    "json": as_json,
    "atec": atec,
    "cnsd": cnsd,
    "benchmark": benchmark,
    "glue": glue,
    "commas": commas,
}


def write(path, lines, ending="\n", bom=b""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bom + "".join(line + ending for line in lines).encode("utf-8"))
    return path


@pytest.mark.parametrize("ending, bom", [("\n", b""), ("\r\n", b"\xef\xbb\xbf")])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_pairs(tmp_path, form, ending, bom):
    lines = FORMS[form](PAIRS)
    got = read_pairs(write(tmp_path / "file", lines, ending, bom), Reading())
    assert list(zip(got.first, got.second, got.labels.tolist(), strict=True)) == PAIRS
    assert got.where == [f"{tmp_path / 'file'}:{line}" for line in range(len(lines) - 2, len(lines) + 1)]


@pytest.mark.parametrize(
    "form, line, words",
    [
        ("tabs", "一\t二", "3: 2 columns instead of 3"),
        ("tabs", "一\t \t1", "3: a text is"),
        ("tabs", "一\t二\tyes", '3: the label is "yes" and not a number'),
        ("tabs", "一\t二\tnan", "3: the label is"),
        ("json", '{"sentence1": "一", "sentence2": "二"}', "3: the row has no label"),
        ("json", '{"sentence1": 1, "sentence2": "二", "label": 1}', "3: a text is 1"),
        ("json", "一\t二\t1", "3: not valid JSON"),
        ("cnsd", "1||一||二", "3: 3 columns instead of 4"),
        ("benchmark", "a\tb\tc\td\te\tf", "3: 6 columns instead of 7"),
    ],
)
def test_a_broken_row_is_named_or_left_out(tmp_path, form, line, words):
    lines = FORMS[form](PAIRS)
    path = write(tmp_path / "file", [*lines[:2], line, *lines[2:]])
    with pytest.raises(DataError) as caught:
        read_pairs(path, Reading())
    assert f"file:{words}" in str(caught.value) and "\n" not in str(caught.value)
    left_out = LeftOut(True)
    got = read_pairs(path, Reading(), left_out)
    assert len(got.first) == 3 and len(left_out.reasons) == 1 and words in left_out.reasons[0]


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "the file is empty"),
        ("只有一列\n".encode(), "file:1: 1 columns"),
        (b"\xff\xfe\0\0a\0\0\0", "is UTF-32"),
        (b"a\tb\t1\n\xe9\tb\t0\n", "file:2: the line is not UTF-8"),
        (b"text_a\ttext_b\tlabel\n", "has no pair of texts"),
    ],
)
def test_files_that_hold_no_pairs(tmp_path, content, words):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_pairs(tmp_path / "file", Reading())
    assert words in str(caught.value)


def many(count=50, seed=0, labels=(0, 1)):
    rng = np.random.default_rng(seed)
    words = [f"句子{number}" for number in range(30)]
    return [
        (words[first], words[second], labels[label])
        for first, second, label in zip(
            *rng.integers(0, 30, (2, count)), rng.integers(0, len(labels), count), strict=True
        )
    ]


LAYOUT = {
    "lcqmc": ("lcqmc/test.tsv", tabs, (0, 1)),
    "afqmc": ("afqmc/dev.json", as_json, (0, 1)),
    "atec": ("ATEC/ATEC.test.data", tabs, (0, 1)),
    "sts-b": ("STS-B/cnsd-sts-test.txt", cnsd, (0, 1, 2, 3, 4, 5)),
    "sts-b-en": ("stsbenchmark/sts-test.csv", benchmark, (0.0, 1.25, 3.8, 5.0)),
}


@pytest.mark.parametrize("key", LAYOUT)
def test_figures_are_correlations_of_cosines_with_labels(tmp_path, key):
    name, form, labels = LAYOUT[key]
    pairs = many(labels=labels)
    write(tmp_path / name, form(pairs))
    outcome = sts.evaluate(Texts(), f"sts@{key}", tmp_path, allow_counts=True)
    [result] = outcome.results
    embed = Texts().encode_text
    cosines = [float(embed([first])[0] @ embed([second])[0]) for first, second, _ in pairs]
    truth = [label for *_, label in pairs]
    assert result.metrics == pytest.approx(
        {"spearman": spearman(cosines, truth), "pearson": pearson(cosines, truth)}, abs=1e-4
    )
    assert result.counts["pairs"] == 50 and result.task == "sts" and result.benchmark == f"sts@{key}"
    assert any("binary" in note for note in result.notes) == (len(labels) == 2)
    assert any("50 instead of the published" in note for note in result.notes)
    assert (tmp_path / name).parent.name in sts.SETS[key].folders
    # the folder of the set itself does as well
    again = sts.evaluate(Texts(), f"sts@{key}", (tmp_path / name).parent, allow_counts=True)
    assert again.results[0].metrics == result.metrics and again.data_sha256 == outcome.data_sha256


def test_windows_change_nothing_and_encode_a_text_once_each():
    pairs, model, seen = many(200), Texts(), []
    first, second, _ = zip(*pairs, strict=True)
    whole = sts.cosines(model, list(first), list(second))
    assert len(model.seen) == 1 and len(model.seen[0]) == len(set(first + second))
    parts = sts.cosines(model, list(first), list(second), 7, lambda *done: seen.append(done))
    assert np.allclose(whole, parts, atol=1e-7) and seen[-1] == (200, 200) and max(map(len, model.seen[1:])) <= 14


def test_bare_name_runs_what_is_there(tmp_path):
    for name, form, labels in (LAYOUT["lcqmc"], LAYOUT["sts-b"]):
        write(tmp_path / name, form(many(labels=labels)))
    results = sts.evaluate(Texts(), "sts", tmp_path, allow_counts=True).results
    assert [result.benchmark for result in results] == ["sts@lcqmc", "sts@sts-b"]
    assert results[0].notes[-1].endswith(": afqmc, atec, sts-b-en") and len(results[1].notes) == 2


def test_the_two_files_of_the_atec_contest_belong_together(tmp_path):
    write(tmp_path / "atec_nlp_sim_train.csv", atec(many(20)), bom=b"\xef\xbb\xbf")
    with pytest.raises(DataError, match="atec_nlp_sim_train.csv and atec_nlp_sim_train_add.csv; register"):
        sts.evaluate(Texts(), "sts@atec", tmp_path, allow_counts=True)
    write(tmp_path / "atec_nlp_sim_train_add.csv", atec(many(30, seed=1)))
    [result] = sts.evaluate(Texts(), "sts@atec", tmp_path, allow_counts=True).results
    assert result.counts["pairs"] == 50 and "split all" in result.notes[0]
    assert any("instead of the published 102,477" in note for note in result.notes)


def test_counts_are_those_of_the_split(tmp_path):
    write(tmp_path / "lcqmc" / "dev.tsv", tabs(many()))
    with pytest.raises(DataError, match="pairs: 50 instead of the published 8,802; .*--allow-counts"):
        sts.evaluate(Texts(), "sts@lcqmc", tmp_path, split="dev")
    with pytest.raises(DataError, match="has no test.tsv or test.txt or LCQMC.test.data; apply for LCQMC"):
        sts.evaluate(Texts(), "sts@lcqmc", tmp_path)


def test_broken_rows_are_counted_in_the_notes(tmp_path):
    write(tmp_path / "test.tsv", [*tabs(many()), "一\t二"])
    with pytest.raises(DataError, match="test.tsv:51: 2 columns"):
        sts.evaluate(Texts(), "sts@lcqmc", tmp_path, allow_counts=True)
    [result] = sts.evaluate(Texts(), "sts@lcqmc", tmp_path, allow_counts=True, skip_broken=True).results
    assert result.counts["pairs"] == 50 and any("rows left out: 1" in note for note in result.notes)


def test_labels_that_say_nothing(tmp_path):
    write(tmp_path / "test.tsv", tabs(many(labels=(1,))))
    with pytest.raises(DataError, match="labels are all equal"):
        sts.evaluate(Texts(), "sts@lcqmc", tmp_path, allow_counts=True)


@pytest.mark.parametrize(
    "name, options, words",
    [
        ("sts@lcqm", {}, "did you mean 'lcqmc'"),
        ("retrieval", {}, "does not belong to sts"),
        ("sts@lcqmc", {"split": "all"}, "no split 'all'"),
        ("sts@lcqmc", {"allow": True}, "unknown option 'allow'"),
        ("sts@lcqmc", {"window": 0}, "window is 0, but"),
        ("sts@lcqmc", {"window": True}, "window is True"),
    ],
)
def test_wrong_names_and_options(tmp_path, name, options, words):
    with pytest.raises(ConfigError, match=words):
        sts.evaluate(Texts(), name, tmp_path, **options)


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="has no files of LCQMC"):
        sts.evaluate(Texts(), "sts", tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        sts.evaluate(Texts(), "sts", tmp_path / "nothing")


def test_a_model_that_gives_nan_is_refused_by_name():
    model = Texts()
    model.encode_text = lambda texts: np.where(np.array(texts) == "b", np.nan, 1.0)[:, None] * np.ones((1, 4))
    with pytest.raises(CheckpointError, match="embeddings are not finite: .* 1 of 4 .* first is the text 'b';"):
        sts.cosines(model, ["a", "b"], ["c", "d"])
