"""The metrics against plain loops, and their invariances."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ernie_vil2.errors import DataError
from ernie_vil2.evaluation.metrics import ranks as module
from ernie_vil2.evaluation.metrics.ranks import percent, ranks, retrieval_metrics


def brute_standard(images, texts, pairs):
    """Ranks of both directions in exact integers: vectors are integers, cosines are compared by their squares."""

    def at_least(query, a, b):
        """cos(query, a) >= cos(query, b), exactly."""
        dot_a, dot_b = int(query @ a), int(query @ b)
        left, right = dot_a * abs(dot_a) * int(b @ b), dot_b * abs(dot_b) * int(a @ a)
        return left >= right

    def direction(queries, candidates, positives):
        found = []
        for query, own in zip(queries, positives, strict=True):
            if own:
                found.append(
                    min(
                        sum(
                            at_least(query, candidates[c], candidates[p])
                            for c in range(len(candidates))
                            if c not in own
                        )
                        for p in own
                    )
                )
        return found

    by_text = [{i for t, i in pairs if t == row} for row in range(len(texts))]
    by_image = [{t for t, i in pairs if i == row} for row in range(len(images))]
    return direction(texts, images, by_text), direction(images, texts, by_image)


def release(images, texts):
    """Strictly greater, written down again; the reference for `official`."""
    count = len(texts)
    parts = [count * part // 10 for part in range(11)]
    scores = np.concatenate([np.matmul(texts[a:b], images.T) for a, b in pairwise(parts) if b > a])
    table = []
    for matrix in (scores, scores.T):
        rank = np.array([int((matrix[row] > matrix[row, row]).sum()) for row in range(count)])
        recalls = [(rank < k).sum() / float(count) for k in (1, 5, 10)]
        table.append([*recalls, sum(recalls[1:], recalls[0]) / 3.0, (1.0 / (1.0 + rank)).sum() / float(count)])
    table.append([(a + b) / 2 for a, b in zip(*table, strict=True)])
    return table


@st.composite
def problems(draw, widths=(1, 4)):
    """Small integer vectors (never zero), so that ties, duplicates and opposite vectors are frequent; unsorted ids."""
    width = draw(st.integers(*widths))
    vector = st.lists(st.integers(-2, 2), min_size=width, max_size=width).filter(any)
    images = np.array(draw(st.lists(vector, min_size=1, max_size=12)))
    texts = np.array(draw(st.lists(vector, min_size=1, max_size=24)))
    owner = draw(st.lists(st.integers(0, len(images) - 1), min_size=len(texts), max_size=len(texts)))
    return images, texts, np.array(owner)


@settings(max_examples=150, deadline=None)
@given(problems(), st.integers(1, 7))
def test_standard_equals_exact_loops(problem, chunk):
    images, texts, owner = problem
    wanted = brute_standard(images, texts, list(enumerate(owner)))
    got = ranks(images.astype(np.float32), texts.astype(np.float32), owner, "standard", chunk)
    assert [part.tolist() for part in got] == list(wanted)


@settings(max_examples=60, deadline=None)
@given(problems(), st.data())
def test_pairs_with_several_images_per_text(problem, data):
    images, texts, _ = problem
    pair = st.tuples(st.integers(0, len(texts) - 1), st.integers(0, len(images) - 1))
    pairs = data.draw(st.lists(pair, min_size=1, max_size=20))
    wanted = brute_standard(images, texts, set(pairs))
    got = ranks(images.astype(np.float32), texts.astype(np.float32), np.array(pairs), "standard", 5)
    assert [part.tolist() for part in got] == list(wanted)


@settings(max_examples=150, deadline=None)
@given(problems(), st.integers(1, 7), st.sampled_from([0, 16]), st.data())
def test_equal_texts_are_right_for_each_others_images(problem, chunk, dense, data):
    images, texts, owner = problem
    keys = data.draw(st.lists(st.integers(-3, 3), min_size=len(texts), max_size=len(texts)))
    pairs = {(row, owner[same]) for row, key in enumerate(keys) for same, other in enumerate(keys) if key == other}
    wanted = brute_standard(images, texts, pairs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "DENSE", dense)
        got = ranks(images.astype(np.float32), texts.astype(np.float32), owner, "standard", chunk, keys)
    assert [part.tolist() for part in got] == list(wanted)


def test_captions_that_photos_share_are_found_by_perfect_embeddings():
    """30 photos of a shop with 3 captions, each photo on its caption."""
    keys = np.arange(30) % 3
    perfect = np.eye(3)[keys]
    got = retrieval_metrics(perfect, perfect, np.arange(30), text_keys=keys)
    assert got["i2t_r1"] == got["t2i_r1"] == 100 and got["num_texts"] == 30
    assert retrieval_metrics(perfect, perfect, np.arange(30))["i2t_r1"] == 0
    assert retrieval_metrics(np.eye(30), perfect @ np.eye(3, 30), np.arange(30), text_keys=keys)["t2i_r1"] == 100


def test_keys_that_are_all_different_change_nothing():
    images, texts, owner, rng = random_problem(0)
    assert retrieval_metrics(images, texts, owner, text_keys=rng.permutation(len(texts))) == retrieval_metrics(
        images, texts, owner
    )


@pytest.mark.parametrize("keys", [[1, 2], [0.5, 1.0, 1.5], [[1], [2], [3]]])
def test_keys_that_do_not_fit_are_named(keys):
    with pytest.raises(DataError, match="text_keys are .* for 3 texts; give a whole number for each"):
        ranks(np.eye(3), np.eye(3), np.arange(3), text_keys=keys)


def test_memory_of_shared_texts_does_not_go_with_their_pairs():
    keys, embeds = np.zeros(3000, np.int64), np.eye(8)[np.arange(3000) % 8]
    tracemalloc.start()
    assert not ranks(embeds, embeds, np.arange(3000), "standard", 16, keys)[0].any()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 9_000_000  # all 9,000,000 pairs would take 144 MB


def random_problem(seed, num_images=40, num_texts=130, width=16, noise=1.5):
    rng = np.random.default_rng(seed)
    owner = np.concatenate([np.arange(num_images), rng.integers(0, num_images, num_texts - num_images)])
    rng.shuffle(owner)
    images = rng.standard_normal((num_images, width)).astype(np.float32)
    texts = images[owner] + noise * rng.standard_normal((num_texts, width)).astype(np.float32)
    return images, texts, owner, rng


@pytest.mark.parametrize("seed", range(3))
def test_order_scale_and_chunks_do_not_matter(seed):
    images, texts, owner, rng = random_problem(seed)
    wanted = retrieval_metrics(images, texts, owner)
    assert 0 < wanted["t2i_r1"] < 100 and 0 < wanted["i2t_r1"] < 100
    image_order, text_order = rng.permutation(len(images)), rng.permutation(len(texts))
    new_owner = np.argsort(image_order)[owner[text_order]]
    moved = retrieval_metrics(images[image_order], texts[text_order], new_owner, chunk=7)
    scaled = retrieval_metrics(images * rng.uniform(1e-20, 1e20, (len(images), 1)), texts * 4096, owner, chunk=1)
    for other in (moved, scaled):
        assert other == pytest.approx(wanted, rel=1e-12)


def test_recalls_in_words():
    """Text 0 finds its image first, text 1 finds it second; image 1 has no caption, so it is no query."""
    images = np.array([[1.0, 0.0], [0.0, 1.0]])
    texts = np.array([[1.0, 0.1], [0.1, 1.0]])
    got = retrieval_metrics(images, texts, [0, 0])
    assert (got["t2i_r1"], got["t2i_r5"], got["t2i_mrr"], got["t2i_median_rank"]) == (50.0, 100.0, 0.75, 1.5)
    assert (got["num_images"], got["num_texts"], got["num_image_queries"], got["num_text_queries"]) == (2, 2, 1, 2)
    assert got["i2t_r1"] == 100.0
    assert got["mean_recall"] == pytest.approx((50 + 100 * 5) / 6)


def test_a_text_without_image_only_distracts():
    images, texts = np.eye(2), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    text_ranks, image_ranks = ranks(images, texts, [0, 1, -1])
    assert text_ranks.tolist() == [0, 0]
    assert image_ranks.tolist() == [1, 0]


@pytest.mark.parametrize("num_images, seed", [(11, 0), (101, 1), (101, 2), (600, 3)])
def test_collapsed_embeddings_are_not_above_chance(num_images, seed):
    """One vector for everything, of a width and counts where a float32 product rounds its edge columns differently."""
    vector = np.random.default_rng(seed).standard_normal(67).astype(np.float32)
    owner = np.repeat(np.arange(num_images), 2)
    images, texts = np.tile(vector, (num_images, 1)), np.tile(-3 * vector, (2 * num_images, 1))
    got = retrieval_metrics(images, texts, owner, chunk=33)
    assert got["mean_recall"] == 0.0
    assert got["t2i_median_rank"] == num_images


def test_a_tower_that_only_knows_noise_scores_at_chance():
    rng = np.random.default_rng(0)
    images = 1 + 1e-7 * rng.standard_normal((500, 32)).astype(np.float32)
    texts = 1 + 1e-7 * rng.standard_normal((2000, 32)).astype(np.float32)
    got = retrieval_metrics(images, texts, np.repeat(np.arange(500), 4))
    assert got["t2i_r10"] < 100 * 4 * 10 / 500


@pytest.mark.parametrize("seed", range(4))
def test_duplicates_tie_against_the_model(seed):
    """Copies of an image (or of another image's caption) rank before it, wherever they stand."""
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((301, 97)).astype(np.float32)
    twice = np.concatenate([images, images])[rng.permutation(602)]
    assert ranks(twice, twice, np.arange(602))[0].tolist() == [1] * 602
    assert ranks(twice, twice, np.arange(602))[1].tolist() == [1] * 602


def test_zero_rows_find_nothing():
    images, texts = np.eye(3), np.zeros((3, 3))
    assert ranks(images, texts, np.arange(3))[0].tolist() == [2, 2, 2]


@pytest.mark.parametrize("count", [10, 20, 130, 1000, 1, 7, 37, 1053])
def test_official_equals_the_release_to_the_last_digit(count):
    images, texts, owner, _ = random_problem(count, max(1, count - count // 4), count, 24, 1.0)
    rows = images[owner]
    got, wanted = retrieval_metrics(rows, texts, protocol="official"), release(rows, texts)
    for name, line in zip(("t2i", "i2t", "mean"), wanted, strict=True):
        keys = [f"{name}_{key}" for key in ("r1", "r5", "r10")] + ["mean_recall" if name == "mean" else f"{name}_mean"]
        assert [got[key] for key in keys] == [value * 100 for value in line[:4]]
        assert [percent(got[key]) for key in keys] == [f"{round(value * 100, 2):.2f}" for value in line[:4]]
    assert (got["t2i_mrr"], got["i2t_mrr"]) == (wanted[0][4], wanted[1][4])


@settings(max_examples=100, deadline=None)
@given(problems())
def test_official_counts_strictly_greater_products(problem):
    images, texts, owner = problem
    rows = images[owner]
    scores = texts @ rows.T
    got = ranks(rows.astype(np.float32), texts.astype(np.float32), protocol="official")
    assert got[0].tolist() == [int((scores[i] > scores[i, i]).sum()) for i in range(len(texts))]
    assert got[1].tolist() == [int((scores[:, i] > scores[i, i]).sum()) for i in range(len(texts))]


def test_official_lets_ties_go_free_and_standard_does_not():
    rows = np.ones((20, 5), np.float32)
    assert retrieval_metrics(rows, rows, protocol="official")["mean_recall"] == 100.0
    assert retrieval_metrics(rows, rows, np.arange(20))["mean_recall"] == 0.0


def test_printed_digits_are_numpys():
    """Halves in the third decimal: NumPy and Python round some of them differently, the release is NumPy's way."""
    values = np.array([(a + b) / 2 * 100 for a in np.arange(6600, 6640) / 10000 for b in (0.6651, 0.6652)])
    assert [percent(value) for value in values] == [f"{round(value, 2):.2f}" for value in values]
    assert any(percent(value) != f"{round(float(value), 2):.2f}" for value in values)


def test_memory_stays_far_below_the_matrix_of_scores():
    images, texts, owner, _ = random_problem(0, 2000, 10000, 32)
    for arguments in ((images, texts, owner, "standard", 256), (images[owner][:4000], texts[:4000], None, "official")):
        matrix = 4 * len(arguments[0]) * len(arguments[1])
        tracemalloc.start()
        retrieval_metrics(*arguments)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < matrix / 4


GOOD = np.eye(3, dtype=np.float32)
BROKEN = GOOD.copy()
BROKEN[1, 2] = np.nan


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((BROKEN, GOOD, [0, 1, 2]), "image_embeds has 1 of 3 rows that are not finite, the first is row 1: the model"),
        ((GOOD, BROKEN, None, "official"), "text_embeds has 1 of 3"),
        ((GOOD, GOOD[:2], None, "official"), "3 image rows and 2 text rows"),
        ((GOOD, GOOD[:, :2], [0, 1, 2]), "3 wide but text_embeds 2"),
        ((GOOD[:0], GOOD, [0, 1, 2]), "image_embeds is empty"),
        ((GOOD, GOOD[0], [0]), "text_embeds must be numbers of shape"),
        ((GOOD, GOOD, None), "needs text_image"),
        ((GOOD, GOOD, [0, 1]), "2 entries for 3 texts"),
        ((GOOD, GOOD, [0, 1, 3]), "image row 3, but there are 3 image rows"),
        ((GOOD, GOOD, [0, 1, -2]), "image row -2"),
        ((GOOD, GOOD, [-1, -1, -1]), "no text belongs to an image"),
        ((GOOD, GOOD, [0.0, 1.0, 2.0]), "integer"),
        ((GOOD, GOOD, [[0, 1, 2]]), "shape"),
        ((GOOD, GOOD, [0, 1, 2], "standart"), "did you mean 'standard'"),
    ],
)
def test_bad_input_is_one_sentence(arguments, words):
    with pytest.raises(DataError) as caught:
        retrieval_metrics(*arguments)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
