"""Mixes: the shares are those of the weights, in a pass and in every stretch of it, and no row is left out."""

import math
import pickle
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.data.sources.base import Sample, Source
from ernie_vil2.data.sources.mix import BLOCK, MixedSource
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.errors import ConfigError

PARTS = st.lists(st.tuples(st.integers(1, 60), st.floats(0.2, 5)), min_size=1, max_size=5)


class Numbers(Source):
    """Rows that say which part and row they are."""

    def __init__(self, part, size):
        self.part, self.size, self.name = part, size, f"part {part}"

    def __len__(self):
        return self.size

    def load(self, index):
        return Sample(f"{self.part}:{index}", b"", ("x",), (), f"{self.part}:{index}")


def mix(parts):
    sources = [{"source": Numbers(number, size), "weight": weight} for number, (size, weight) in enumerate(parts)]
    return MixedSource(sources, open_source)


@given(PARTS)
def test_shares_hold_in_a_pass_and_in_each_stretch(parts):
    source = mix(parts)
    places = [source.place(index) for index in range(len(source))]
    shares = [weight / sum(weight for _, weight in parts) for _, weight in parts]
    counts = Counter(part for part, _ in places)
    for part, share in enumerate(shares):
        assert abs(counts[part] - share * len(source)) <= len(parts)
    step = max(len(places) // 7, 1)
    for start in range(0, len(places) - step, step):
        stretch = Counter(part for part, _ in places[start : start + step])
        assert all(abs(stretch[part] - share * step) <= 2 * len(parts) for part, share in enumerate(shares))


@given(PARTS)
def test_every_row_is_used_as_often_as_its_neighbours(parts):
    source = mix(parts)
    used = Counter(source.place(index) for index in range(len(source)))
    once = False
    for part, (size, _) in enumerate(parts):
        times = [used[part, row] for row in range(size)]
        assert min(times) >= 1 and max(times) - min(times) <= 1
        once |= max(times) == 1
    assert once and sum(used.values()) == len(source)


def test_equal_weights_of_a_large_and_a_small_part():
    source = mix([(3000, 1.0), (7, 1.0)])
    assert len(source) == 6000 and [source.place(index)[0] for index in range(6)] in ([0, 1] * 3, [1, 0] * 3)
    rows = [row for part, row in map(source.place, range(28)) if part == 1]
    assert rows == [*range(7), *range(7)]


def test_a_pass_of_billions_needs_no_table():
    source = mix([(10**9, 1.0), (3, 0.5)])
    assert len(source) == 1_500_000_000 and len(pickle.dumps(source)) < 1000
    assert {source.place(len(source) - 1 - index)[0] for index in range(3)} == {0, 1}
    assert sum(source.shard_sizes()) == len(source) and max(source.shard_sizes()) == BLOCK


def test_a_mix_is_a_source_like_any_other(tmp_path):
    for name, rows in (("a", 4), ("b", 2)):
        (tmp_path / f"{name}.tsv").write_text("".join(f"{name}{row}\t{name}{row}\tAAAA\n" for row in range(rows)))
    spec = {
        "kind": "mix",
        "sources": [{"source": str(tmp_path / "a.tsv"), "weight": 2}, {"source": [str(tmp_path / "b.tsv")]}],
    }
    source = open_source(spec)
    ids = [sample.id for sample in source]
    own = ["a.tsv#a0", "a.tsv#a1", "a.tsv#a2", "a.tsv#a3", "b.tsv#b0", "b.tsv#b1"]
    assert sorted(ids) == [f"{tmp_path}/{key}" for key in own] and [source.key(index) for index in range(6)] == ids
    assert [source.where(index) for index in range(6)] == [sample.where for sample in source]
    assert [sample.id for sample in pickle.loads(pickle.dumps(source))] == ids and source.notes == []
    assert "66.7 % from" in source.describe() and "1.00 times its 4" in source.describe()
    assert [sample.id for sample in open_source([spec, str(tmp_path / "a.tsv")])][:6] == ids
    with pytest.raises(IndexError):
        source[6]


@pytest.mark.parametrize(
    "sources, words",
    [
        ([], "list of"),
        (None, "list of"),
        ("a.tsv", "list of"),
        ([{"weight": 1}], "entry 1"),
        ([{"source": "a.tsv", "wieght": 1}], "'weight'"),
        ([{"source": "a.tsv", "weight": 0}], "above 0"),
        ([{"source": "a.tsv", "weight": True}], "above 0"),
        ([{"source": "a.tsv", "weight": math.inf}], "above 0"),
        ([{"source": "a.tsv", "weight": "1"}], "above 0"),
    ],
)
def test_wrong_mixes_are_one_sentence(sources, words):
    with pytest.raises(ConfigError, match=words) as caught:
        open_source({"kind": "mix", "sources": sources})
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="unknown option 'weights'"):
        open_source({"kind": "mix", "sources": [{"source": "a.tsv"}], "weights": [1]})
