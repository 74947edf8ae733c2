"""The page of systems: honest sentences, every figure, and what it takes to get them again."""

import re
import shlex

import pytest

from ernie_vil2.cli.arguments import Parser
from ernie_vil2.cli.bench import systems as verb
from ernie_vil2.config.load import load_run
from ernie_vil2.runtime import cpu_count
from ernie_vil2.studies.systems.comparison import NAMES, TASKS, change, lead
from ernie_vil2.studies.systems.facts import FACTS
from ernie_vil2.studies.systems.plan import Outcome, Plan
from ernie_vil2.studies.systems.report import document
from ernie_vil2.studies.systems.tables import main_table, search_table
from ernie_vil2.studies.systems.verdict import verdict
from tests.conftest import ROOT
from tests.studies.systems_results import CONFIGS, made_up, made_up_costs, made_up_towers


def sentences(gains, seeds=(0, 1, 2), **ratios):
    """{what a sentence is about: the sentence}"""
    text = " ".join(verdict(made_up_towers(), made_up(gains, seeds), made_up_costs(**ratios)).split())
    return dict(re.findall(r"- \*\*(.+?)\*\*(.+?)(?= - \*\*|$)", text))


def page_of(searched, rows, costs, asked):
    return document(Outcome(made_up_towers(), searched, rows, {}), costs, asked)


def test_the_best_system_is_named_with_its_lead_whichever_it_is():
    for best, other in (("cookie", "brivl"), ("brivl", "cookie"), ("clip", "ernie_vil2")):
        found = sentences({(best, 32): 9.0, (other, 32): 4.0, (best, 128): (1.0, -1.5, 0.9)})
        for task in TASKS.values():
            told = found[task.capitalize()]
            assert f"At batch 32 {NAMES[best]} is best with 44.10 ± 5.10, +5.00 over {NAMES[other]}" in told
            assert re.search(r"At batch 32 [^.]*\.\d\d \± .*?beyond the spread", told)
            small, large = told.split("At batch 128")
            assert "which is not beyond the spread" not in small and f"{NAMES[best]} is best" in large
            assert "which is not beyond the spread" in large
    one = sentences({("cookie", 32): 9.0}, seeds=(0,))
    assert "one seed, which has no spread" in one["Retrieval"] and "one seed cannot say" in one["To choose one"]


def test_what_needs_no_model_is_held_against_the_systems():
    high = sentences({(name, batch): -40.0 for name in NAMES if name != "clip" for batch in (32, 128)})
    told = "fitted colours and words give 13.00, CLIP is above it beyond the spread and ERNIE-ViL 2.0, "
    assert told + 'BriVL, "BriVL, batch" and COOKIE are below it beyond the spread' in high["Retrieval"]
    assert (
        "words alone give 20.00, none is apart from it beyond the spread"
        in sentences({(name, batch): (-10.0, -15.5, -19.5) for name in NAMES for batch in (32, 128)})["Text matching"]
    )
    low = sentences({(name, batch): -40.0 for name in NAMES for batch in (32, 128)})
    assert low["Text matching"].count("are below it beyond the spread") == 4  # of words, and of the tower at the start
    assert "; the text tower at the start gives 25.00, CLIP, ERNIE-ViL 2.0" in low["Text matching"]
    assert "; the image tower at the start gives 25.00" in low["Image retrieval"]
    assert "at the start" not in low["Retrieval"]
    assert " above it" not in low["Text matching"] and "none is apart" not in low["Text matching"]
    one = sentences({("clip", 32): 40.0}, seeds=(0,))["Text matching"]
    assert "words alone give 20.00; the text tower at the start gives 25.00. " in one and " it beyond" not in one


def test_the_choice_is_who_loses_nothing_and_the_cheapest_of_them():
    gains = {("ernie_vil2", 32): 9.0, ("cookie", 32): 9.0, ("brivl", 128): 5.0}
    found = sentences(gains, ernie_vil2=2.0, cookie=3.0)["To choose one"]
    told = "the seeds cannot tell them apart, which does not make them equal; "
    assert f"at batch 32 ERNIE-ViL 2.0 and COOKIE are beaten by none beyond the spread in any task: {told}" in found
    assert told + "ERNIE-ViL 2.0 takes the least time of them" in found
    assert "at batch 128 BriVL is beaten by none beyond the spread in any task." in found
    assert "COOKIE takes the least time of them" in sentences(gains, ernie_vil2=3.0, cookie=2.0)["To choose one"]


def test_the_extra_time_and_what_it_buys():
    found = sentences({("ernie_vil2", 32): 9.0, ("ernie_vil2", 128): -9.0}, ernie_vil2=2.25)
    told = found["ERNIE-ViL 2.0 against CLIP"]
    assert "at batch 32 2.25 times the time of a step, for retrieval +9.10 (better)" in told
    assert "at batch 128 2.25 times the time of a step, for retrieval -8.90 (worse)" in told
    assert "retrieval +0.00 (within the spread)" in found["COOKIE against CLIP"]


def test_the_queue_is_judged_beside_the_same_system_without_it():
    """Better at the small batch, worse there, and neither; CLIP has no part in it."""
    both = {("brivl_batch", 32): 3.0, ("brivl_batch", 128): 3.0}
    found = sentences({**both, ("brivl", 32): 9.0, ("brivl", 128): 1.0, ("clip", 32): 20.0})["Does the queue matter?"]
    assert 'BriVL minus that of "BriVL, batch"' in found
    assert "+6.00 ± 0.00 points at batch 32 (95 % +6.00 to +6.00), better with the queue beyond the spread" in found
    assert "-2.00 ± 0.00 points at batch 128 (95 % -2.00 to -2.00), worse with the queue beyond the spread" in found
    assert "from 32 to 128 that is +8.00" in found and "worth more at 32 than at 128, as a queue should be" in found
    found = sentences({**both, ("brivl", 32): 1.0, ("brivl", 128): 9.0})["Does the queue matter?"]
    assert "-8.00" in found and "worth less at 32 than at 128, the contrary" in found
    found = sentences({("brivl", 32): (-9.0, 2.0, 5.0), ("brivl", 128): (-3.0, 6.0, -8.0)})["Does the queue matter?"]
    assert found.count("within the spread, so neither is shown to be better") == 2 and "it is not shown" in found
    one = sentences({("brivl", 32): 9.0}, seeds=(0,))["Does the queue matter?"]
    assert one.count("of one seed, which cannot say which is better") == 2 and "beyond the spread" not in one


def test_differences_are_of_the_same_seed_whatever_the_order_of_the_runs():
    rows = made_up({("brivl", 32): 4.0, ("cookie", 32): 2.0})
    found = lead(rows[::-1], 32, "map")
    assert found.order[:2] == ("brivl", "cookie") and found.beyond and found.values == pytest.approx((2.0, 2.0, 2.0))
    assert change(rows[::-1], "brivl", "clip", "map", 32, 128) == pytest.approx([4.2, 4.1, 4.0])


# The page


def test_the_page_holds_every_figure_and_what_is_known_of_each(tmp_path):
    rows = made_up({("brivl", 32): 4.0})
    searched = [{**row, "rate": rate} for rate in (1e-4, 1e-3, 1e-2) for row in rows if row["seed"] == 0]
    asked = Plan(CONFIGS, "out")
    page = page_of(searched, rows, made_up_costs(brivl=1.5), asked)
    assert "| BriVL | 32 | 39.10 ± 5.10 |" in page and "| 1.50 x | 420 | 1,001 |" in page
    assert "| towers at the start | – | – | – | – | 25.00 | 25.00 | 25.00 | – |" in page
    told = "a training of image - tags (20,480 pairs) and a text tower out of one of caption - caption' (20,480)"
    assert told in " ".join(page.split()) and "begins, they have a mean recall of 99.0 %" in " ".join(page.split())
    assert "best over the next is descriptive, as the pair is picked after seeing the means" in " ".join(page.split())
    assert "| words alone | – | – | – | – | 20.00 | 21.00 | – |" in page
    assert "| colours alone | – | – | – | – | – | – | 22.00 |" in page
    assert "| fitted colours and words | – | 11.00 | 12.00 | 13.00 |" in page
    assert "| BriVL - CLIP | **+4.10 (+3.85 to +4.35)** |" in page and "| COOKIE - BriVL | **-4.10" in page
    assert "10,240 pairs (320 steps of 32 or 80 steps of 128)" in " ".join(page.split())
    assert all(f"| {NAMES[row['name']]}, batch {row['batch']}, seed {row['seed']} | 0.001 |" in page for row in rows)
    assert main_table(made_up_towers(), rows, made_up_costs(brivl=1.5)) in page and search_table(searched, rows) in page
    assert "| CLIP | 32 | 30.00 | 30.00 | 30.00 | 0.001 |" in page and "No system took a rate at an end" in page
    assert "beyond it: CLIP at batch 32" in page_of(searched[10:], rows, made_up_costs(), asked)
    assert "0.99 at batch 32 and 0.9606 at batch 128" in " ".join(page.split())
    for name in FACTS:
        assert f"### {NAMES[name]}" in page and FACTS[name].command in page
    wide = [line for line in page.splitlines() if len(line) > 120 and not line.startswith("|")]
    assert all("python tools" in line for line in wide)
    one = page_of(searched, made_up({}, seeds=(0,)), made_up_costs(), asked)
    assert "(one seed)" in one and "unknown" in one


def test_the_page_says_how_to_repeat_it_at_what_depth_it_is_and_of_which_code():
    rows = made_up({})
    page = page_of(rows, rows, made_up_costs(), Plan(CONFIGS, "out"))
    assert f"ernie-vil2 bench systems --seeds 0 1 2 --jobs {cpu_count()}\n" in page
    assert "precision x 100 over all images" in " ".join(page.split()) and "states of this package" not in page
    other = Plan(
        CONFIGS, "out", 256, (64,), (4,), (1e-3,), ("clip", "cookie"), ("data.train.size=24", "lora={rank: 2}"), 9
    )
    rows[0]["metrics"] |= {"map_depth": "5000", "num_images": 6000}
    page = page_of(rows, rows, {**made_up_costs(), "code": "b"}, other)
    command = next(line for line in page.splitlines() if line.startswith("ernie-vil2 bench systems"))
    parser = Parser()
    verb.add_verb(parser.add_subparsers())
    args = parser.parse_args(shlex.split(command)[2:])
    assert (args.pairs, args.batches, args.seeds, args.rates, args.images) == (256, [64], [4], [1e-3], 9)
    assert (tuple(args.only), tuple(args.override)) == (other.only, other.overrides)
    told = " ".join(page.split())
    assert "at the first 5,000 images (map@5000)" in told and "over all images" not in told
    assert "are of 2 states of this package's code" in told
    rows[1]["code"] = "c"
    assert "are of 2 states" in " ".join(page_of(rows, rows, made_up_costs(), other).split())


@pytest.mark.parametrize("name", FACTS)
def test_the_one_command_of_a_system_is_of_that_system(name):
    _, verb, option, recipe, *overrides = shlex.split(FACTS[name].command)
    assert (verb, option) == ("train", "-c")
    config = load_run(recipe, overrides[1::2])
    assert config.model.system == ("ernie_vil2" if name == "clip" else name)
    assert (len(config.objective.pairs) == 1) == (name in ("clip", "brivl"))


@pytest.mark.parametrize(
    "readme, head", [("README.md", "| system | batch | mean"), ("README_zh.md", "| 系统 | 批大小")]
)
def test_the_readme_has_the_figures_of_the_page(readme, head):
    """Each row of its table is one of the page's: mean recall, Spearman, mAP and the time of a step."""
    page = rows_of((ROOT / "docs/systems.md").read_text(), "| system | batch | T2I R@1")
    kept = [[*row[:2], *(row[place] for place in (4, 5, 7)), row[8].removesuffix(" x")] for row in page]
    shown = rows_of(
        (ROOT / readme).read_text(), "| system | batch | mean" if readme == "README.md" else "| 系统 | 批大小"
    )
    assert len(shown) == len(kept) == 2 * len(NAMES) + 4
    assert [row[1:] for row in shown] == [row[1:] for row in kept]
    assert [row[0] for row in shown[: 2 * len(NAMES)]] == 2 * list(NAMES.values())


def rows_of(text, head):
    """Cells of the rows below a table's first line, which begins with `head`."""
    table = text[text.index(head) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
