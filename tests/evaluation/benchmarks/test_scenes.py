"""The benchmark of drawn scenes: what knows the facts is far above its baselines, what knows nothing is at chance."""

import functools
import hashlib
import json

import numpy as np
import pytest

from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.cli.eval import compare
from ernie_vil2.cli.eval import main as tool
from ernie_vil2.config.model import ModelConfig, PixelProfile
from ernie_vil2.data.sources.scenes.captions import caption
from ernie_vil2.data.sources.scenes.graded_pairs import WORDS, graded_pair, scene_pair, stream
from ernie_vil2.data.sources.scenes.source import SceneSource
from ernie_vil2.data.sources.scenes.vocabulary import build_vocab
from ernie_vil2.errors import ConfigError, DataError
from ernie_vil2.evaluation.benchmarks.registry import read_sets
from ernie_vil2.evaluation.benchmarks.run import tables
from ernie_vil2.evaluation.benchmarks.scenes.drawings import Drawings
from ernie_vil2.evaluation.benchmarks.scenes.sets import evaluate
from ernie_vil2.evaluation.runs import results as runs
from ernie_vil2.keys import stable_hash
from ernie_vil2.models.dual_encoder import new_model

SIZE, WIDTH = 16, 256
FEW = {"images": 150, "pairs": 400}


def facts(scene):
    """What a scene shows, as words that no caption has."""
    for group in scene.groups:
        kind = f"{group.colour} {group.shape}"
        cells = sorted(group.cells)
        more = [f"{group.shape} {fact}" for fact in (group.size, group.material, group.count, cells)]
        yield from [*[kind] * 3, group.shape, group.colour, *more]
    yield from [scene.background] * 3


@functools.cache
def direction(word):
    """A vector drawn at random for a word."""
    return np.random.default_rng(stable_hash(word) & 0xFFFFFFFF).standard_normal(WIDTH)


def vector(words):
    """A unit vector, the sum of those of the words."""
    row = sum(map(direction, words))
    return (row / np.linalg.norm(row)).astype(np.float32)


def digest(image):
    return hashlib.sha256(np.ascontiguousarray(image)).hexdigest()


class Stub:
    """Stands in for a model: of images and texts it embeds what `told` has of them, or else themselves, at random."""

    class config:
        pixels = PixelProfile(size=SIZE)

    embed_dim = WIDTH

    def __init__(self, told):
        self.told, self.images = told, 0

    def encode_text(self, texts):
        return np.stack([vector(self.told.get(text, [text])) for text in texts])

    def encode_image(self, images, on_error):
        self.images += len(images)
        assert all(image.shape == (self.config.pixels.size,) * 2 + (3,) for image in images)
        return np.stack([vector(self.told.get(digest(image), [digest(image)])) for image in images]), []


@pytest.fixture(scope="module")
def knowing():
    """What tells of the facts of every image and text of the benchmark, found without it."""
    source, told = SceneSource("test", FEW["images"], 0, SIZE, "zh"), {}
    for index, sample in enumerate(source):
        told[digest(sample.image)] = [f"{group.colour} {group.shape}" for group in source.scene(index).groups]
        told.update(dict.fromkeys(sample.texts, told[digest(sample.image)]))
    for index in range(FEW["pairs"]):
        rng = stream(0, index, WORDS)
        for scene in scene_pair(0, index)[:2]:
            told[caption(scene, "zh", rng)] = list(facts(scene))
    return told


@pytest.fixture(scope="module")
def outcome(knowing):
    return evaluate(Stub(knowing), "scenes", **FEW)


def test_what_knows_the_facts_is_far_above_the_baselines(outcome):
    recall, texts, images = (result.metrics for result in outcome.results)
    assert texts["spearman"] > 85 and texts["pearson"] > 85
    assert 40 < texts["words_spearman"] < 75 and 40 < texts["words_pearson"] < 75
    assert images["map@100"] > 95 and images["map@all"] > 85
    assert images["colours_map@100"] < 35 and images["colours_map@all"] < 20
    assert recall["mean_recall"] > 70


def test_what_knows_nothing_is_at_chance_and_the_baselines_stay(outcome):
    found = evaluate(Stub({}), "scenes", **FEW)
    recall, texts, images = (result.metrics for result in found.results)
    share = float(found.results[2].notes[2].partition(" %")[0])
    assert abs(texts["spearman"]) < 15 and abs(texts["pearson"]) < 15
    assert share < images["map@all"] < share + 4 < images["colours_map@all"] + 4
    assert recall["mean_recall"] < 10
    for one, other in zip(found.results, outcome.results, strict=True):
        baseline = {key: value for key, value in one.metrics.items() if key.startswith(("words_", "colours_"))}
        assert baseline == {key: other.metrics[key] for key in baseline}
        assert len(baseline) == (0 if one.task == "retrieval" else 2)


def test_results_are_named_as_those_of_the_tasks_that_exist(outcome):
    names = [(result.benchmark, result.task) for result in outcome.results]
    assert names == [
        ("scenes@retrieval", "retrieval"),
        ("scenes@texts", "sts"),
        ("scenes@images", "image-retrieval"),
    ]
    printed = tables(outcome.results)
    assert "150 images, 300 texts" in printed and "400 pairs" in printed and "64 labels" in printed
    for note in ("words_*: a baseline that knows words alone", "colours_*: a baseline that knows colours alone"):
        assert f"note: {note}" in printed


def test_a_set_alone_has_the_figures_that_it_has_among_all(knowing, outcome):
    sums = {outcome.data_sha256}
    for wanted in outcome.results:
        alone = evaluate(Stub(knowing), wanted.benchmark, **FEW)
        assert [(row.metrics, row.counts, row.notes) for row in alone.results] == [
            (wanted.metrics, wanted.counts, wanted.notes)
        ]
        assert (alone.embeddings is None) == (wanted.task != "retrieval")
        sums.add(alone.data_sha256)
    assert len(sums) == 4


def test_each_image_is_encoded_once(knowing):
    model = Stub(knowing)
    evaluate(model, "scenes", images=40, pairs=5)
    assert model.images == 40


@pytest.mark.parametrize(
    "name, changing, same",
    [
        ("scenes", ["seed", "size", "language", "images", "pairs"], []),
        ("scenes@retrieval", ["seed", "size", "language", "images"], ["pairs"]),
        ("scenes@texts", ["seed", "language", "pairs"], ["size", "images"]),
        ("scenes@images", ["seed", "size", "images"], ["language", "pairs"]),
    ],
)
def test_the_checksum_is_of_what_was_drawn(name, changing, same):
    others = {"seed": 1, "size": 20, "language": "en", "images": 13, "pairs": 13}

    def checksum(**options):
        model = Stub({})
        model.config = type("config", (), {"pixels": PixelProfile(size=options.get("size", SIZE))})
        return evaluate(model, name, **{"images": 12, "pairs": 12, **options}).data_sha256

    plain = checksum()
    assert plain == checksum(seed=0, size=SIZE, language="zh")
    assert {plain} == {plain, *(checksum(**{option: others[option]}) for option in same)}
    assert len({plain, *(checksum(**{option: others[option]}) for option in changing)}) == 1 + len(changing)


def test_grades_are_those_of_the_pairs():
    class Exact(Stub):
        """Two texts of a pair lie as far apart as their label says."""

        def encode_text(self, texts):
            rows = {text: np.array([1.0, 0.0]) for text in texts}
            for index in range(30):
                first, second, label = graded_pair(5, index, "en")
                assert first in rows and second in rows
                rows[second] = np.array([label / 5, (1 - (label / 5) ** 2) ** 0.5])
            return np.stack([rows[text] for text in texts]).astype(np.float32)

    (result,) = evaluate(Exact({}), "scenes@texts", pairs=30, seed=5, language="en").results
    assert result.metrics["pearson"] == pytest.approx(100, abs=1e-3)


def test_a_caption_of_two_scenes_is_right_for_both():
    class Alike(SceneSource):
        def words(self, index):
            return ("同", f"第{index}", "同"), ()

    pairs = Drawings(Alike("test", 3, 0, SIZE, "zh")).pairs("x")
    assert pairs.texts == ("同", "第0", "第1", "第2")
    assert pairs.pairs.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [2, 1], [3, 2]]


def test_a_model_that_takes_boxes_is_given_those_of_the_objects():
    class Looking(Stub):
        most_boxes, seen = 9, ()

        def encode_image(self, images, on_error, boxes):
            self.seen = [*self.seen, *boxes]
            return super().encode_image(images, on_error)

    for name in ("scenes@images", "scenes@retrieval"):
        model, source = Looking({}), SceneSource("test", 20, 0, SIZE, "zh")
        (result,) = evaluate(model, name, images=20).results
        assert "20 of 20 images were encoded with their boxes" in result.notes
        for seen, sample in zip(model.seen, source, strict=True):
            np.testing.assert_array_equal(seen, np.array(sample.boxes, np.float32))


@pytest.mark.parametrize(
    "name, given, words",
    [
        ("scenes", {"data": "folder"}, "scenes is drawn and reads no files, but --data is folder; leave --data out"),
        ("scenes@words", {}, "scenes has no set 'words'; it has retrieval, texts, images"),
        ("scenes@image", {}, "scenes has no set 'image'; did you mean 'images'?"),
        ("scenes", {"split": "val"}, "scenes has no split 'val'; take one of test"),
        ("scenes", {"language": "e"}, "language is 'e', but captions of scenes are zh or en"),
        ("scenes", {"images": 1}, "images is 1, but it must be a whole number of at least 2"),
        ("scenes", {"pairs": 1}, "pairs is 1, but it must be a whole number of at least 2"),
        ("scenes", {"size": 1}, "size is 1, but it must be a whole number of at least 2"),
        ("scenes", {"seed": -1}, "seed is -1, but it must be a whole number of at least 0"),
        ("scenes", {"imgaes": 9}, "unknown option 'imgaes'; did you mean 'images'?"),
    ],
)
def test_what_cannot_be_measured_is_told_before_a_model_is_asked(name, given, words):
    with pytest.raises((ConfigError, DataError)) as caught:
        evaluate(None, name, **given)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_there_are_no_files_to_read_pairs_from(tmp_path):
    with pytest.raises(ConfigError, match="scenes has no pairs of images and texts in files"):
        read_sets("scenes", tmp_path)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Folder of a model that nothing was taught."""
    root = tmp_path_factory.mktemp("model")
    build_vocab(root / "vocab.txt", scenes=200)
    rows = len((root / "vocab.txt").read_text(encoding="utf-8").splitlines())
    config = ModelConfig.from_dict(
        {
            "image_tower": {"image_size": 32, "patch_size": 16, "width": 16, "depth": 1, "heads": 2},
            "text_tower": {"vocab_size": rows, "positions": 64, "width": 16, "depth": 1, "heads": 2},
            "max_length": 64,
            "pixels": {"size": 32},
        }
    )
    state = {key: value.numpy() for key, value in new_model(config).state_dict().items()}
    save_model(root / "tiny", state, config, root / "vocab.txt")
    return root / "tiny"


def test_the_command_measures_without_data_and_compares(tiny, tmp_path, capsys):
    asked = ["--model", str(tiny), "--benchmark", "scenes", "-o", "images=20", "-o", "pairs=30", "-o", "seed=0"]
    for run in ("a", "b"):
        tool.main([*asked, "--output", str(tmp_path / run), "--json", str(tmp_path / f"{run}.json")])
    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert content["data"] is None and len(content["results"]) == 3
    one, other = (runs.read_run(tmp_path / run) for run in ("a", "b"))
    assert [row.metrics for row in one.results] == [row.metrics for row in other.results]
    assert one.analysis["benchmark"] == "scenes@retrieval" and one.analysis["thumbnails"]
    capsys.readouterr()
    compare.main([str(tmp_path / "a"), str(tmp_path / "b")])
    printed = capsys.readouterr().out
    for words in (
        "## scenes@retrieval",
        "## scenes@texts",
        "| words spearman |",
        "## scenes@images",
        "colours map@all",
    ):
        assert words in printed
    compare.main([str(tmp_path / "a"), "--output", str(tmp_path / "page")])
    assert "scenes@images" in (tmp_path / "page" / "compare.html").read_text(encoding="utf-8")


def test_the_command_refuses_data_and_asks_for_it_elsewhere(tiny, tmp_path, capsys):
    with pytest.raises(ConfigError, match="reads no files, but --data is"):
        tool.main(["--model", str(tiny), "--benchmark", "scenes@texts", "--data", str(tmp_path)])
    with pytest.raises(SystemExit):
        tool.main(["--model", str(tiny), "--benchmark", "sts"])
    assert "--benchmark needs --data DIR" in capsys.readouterr().err.splitlines()[-1]
