"""A queue on two and three gloo ranks against one process: weights, copy, keys, labels, pointer."""

import numpy as np
import pytest

from ernie_vil2.data.sources.scenes.vocabulary import build_vocab
from ernie_vil2.models.towers.batch_norm import is_statistic
from tests.training import runs
from tests.training.queue_cases import BATCH, CASES, PAIRS, STEPS

pytestmark = pytest.mark.slow

COMPARED = [(case, size) for case, options in CASES.items() for size in options.get("sizes", (1, 2)) if size > 1]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """{number of ranks: [{case/group/name: array} of every rank]}."""
    folder = tmp_path_factory.mktemp("queues")
    build_vocab(folder / "vocab.txt", scenes=300)
    code = "import pathlib, sys, ernie_vil2; from tests.training import queue_cases; "
    runs.run_code(code + "queue_cases.jobs(pathlib.Path(sys.argv[1]))", folder)
    return {
        size: [dict(np.load(folder / str(size) / f"rank-{rank}.npz")) for rank in range(size)] for size in (1, 2, 3)
    }


def of_case(arrays, case):
    """{group: {name: array}}."""
    groups = {}
    for key, value in arrays.items():
        name, group, *rest = key.split("/")
        if name == case:
            groups.setdefault(group, {})["/".join(rest)] = value
    return groups


IGNORED = ("attn.k.bias", "qkv.bias", "project_norm.bias")
"""What softmax or the next batch norm takes out again: AdamW steps along the rounding of their gradients"""


def off(one, other):
    """Norm of the difference of all arrays together over that of the first ones."""
    names = [name for name in one if not name.endswith(IGNORED)]
    ours, theirs = (np.concatenate([part[name].ravel().astype("f8") for name in names]) for part in (one, other))
    return np.linalg.norm(ours - theirs) / np.linalg.norm(ours)


@pytest.mark.parametrize("case, size", COMPARED)
def test_ranks_have_the_weights_the_copy_and_the_queue_of_one_process(found, case, size):
    wanted, *ranks = (of_case(rank, case) for rank in (found[1][0], *found[size]))
    assert {"weights", "momentum", "queue"} <= set(wanted) and len(wanted["momentum"]) > 30
    capacity, pairs = CASES[case].get("size", 23), CASES[case].get("objective", {}).get("pairs", PAIRS)
    views = {view for pair in pairs for view in pair[:2]}
    assert wanted["queue"]["pointer"].tolist() == [STEPS * BATCH % capacity]
    assert {name for name in wanted["queue"] if name.startswith("embeds")} == {f"embeds.{view}" for view in views}
    for rank in ranks:
        assert {group: set(held) for group, held in rank.items()} == {group: set(wanted[group]) for group in wanted}
        for name, value in wanted["queue"].items():
            assert len(value) == (1 if name == "pointer" else capacity)
            if name.startswith("embeds"):
                assert off({name: value}, rank["queue"]) < 1e-5, name
            else:
                assert np.array_equal(rank["queue"][name], value), name
        for group in set(wanted) - {"queue"}:
            assert off(wanted[group], rank[group]) < 1e-5, group
        for group in ("queue", "momentum", "model"):
            assert runs.different(rank[group], ranks[0][group]) == [], group


@pytest.mark.parametrize("size", [1, 2])
def test_no_key_depends_on_the_statistics_that_the_copy_keeps(found, size):
    own, copied = (of_case(found[size][0], f"statistics-{kind}") for kind in ("own", "copied"))
    names = [name for name in own["momentum"] if is_statistic(name)]
    assert len(names) > 20 and off(own["queue"], copied["queue"]) < 1e-6
    assert any(not np.array_equal(own["momentum"][name], copied["momentum"][name]) for name in names)


@pytest.mark.parametrize("size", [1, 2])
def test_a_fixed_temperature_does_not_move_and_another_does(found, size):
    for case, fixed in (("below-the-batch", True), ("cache", False)):
        weights = of_case(found[size][0], case)["weights"]
        values = [value for name, value in weights.items() if name.endswith("temperature_b")]
        assert len(values) == 2 and [value == np.float32(-np.log(0.07)) for value in values] == [fixed] * 2
