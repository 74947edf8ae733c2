"""Published figures: each stands under its own protocol only, agrees with itself and says where it is from."""

import pytest

from ernie_vil2.evaluation.compare.published_figures import FIGURES, PROTOCOLS, protocol_of, published_for


def figures(benchmark, setting="zero-shot"):
    return {(row.model, row.source): row.printed for row in published_for(benchmark) if row.setting == setting}


def test_every_row_is_whole():
    for row in FIGURES:
        assert row.model and row.source and row.printed and set(row.benchmarks) <= set(PROTOCOLS)
        assert row.setting in ("zero-shot", "fine-tuned", "not said")
        for key, text in row.printed.items():
            assert key == "pnr" or 0 < float(text) <= 100
        for name in ("t2i", "i2t"):
            recalls = [float(row.printed[f"{name}_r{k}"]) for k in (1, 5, 10) if f"{name}_r{k}" in row.printed]
            assert recalls == sorted(recalls)
            if f"{name}_mean" in row.printed:
                assert sum(recalls) / 3 == pytest.approx(float(row.printed[f"{name}_mean"]), abs=0.1)


def test_a_figure_that_may_belong_to_several_protocols_says_so():
    for row in FIGURES:
        assert len(row.benchmarks) == 1 or "does not say" in row.footnote or "not whether" in row.footnote


@pytest.mark.parametrize(
    "benchmark, models",
    [
        (
            "coco-cn@1053",
            {
                "ERNIE-ViL 2.0 Base ViT",
                "ERNIE-ViL 2.0 Large ViT",
                "Wukong L/14",
                "R2D2 L/14",
                "CN-CLIP B/16",
                "CN-CLIP L/14",
                "CN-CLIP H/14",
                "QA-CLIP L/14",
                "AltCLIP L",
                "InternVL-G",
            },
        ),
        ("flickr30k-cn", {"Wukong L/14", "R2D2 L/14", "CN-CLIP B/16", "QA-CLIP L/14", "AltCLIP L", "InternVL-G"}),
        ("muge", {"Wukong L/14", "R2D2 L/14", "CN-CLIP H/14", "QA-CLIP L/14", "AltCLIP L"}),
        ("aic-icc@10k-pairs", {"ERNIE-ViL 2.0 Base ViT", "ERNIE-ViL 2.0 Large CNN"}),
        ("cbvs", {"ERNIE-ViL 2.0 Base ViT"}),
    ],
)
def test_the_expected_models_are_there(benchmark, models):
    assert models <= {model for model, _ in figures(benchmark)}


def test_protocols_are_not_mixed():
    assert not any("CN-CLIP" in model for model, _ in figures("coco-cn@1k-official"))
    assert published_for("coco-cn@5k") == published_for("aic-icc@30k") == published_for("coco-cn") == []
    rows = [row for row in published_for("coco-cn@1k-official") if row.printed.get("t2i_r1") == "65.9"]
    assert len(rows) == 1 and rows[0].printed["i2t_mean"] == "84.8" and not rows[0].footnote
    assert not any(row.printed.get("t2i_r1") == "65.9" for row in published_for("coco-cn@1053"))


def test_brivls_rows_stand_with_what_is_not_known_of_them():
    for benchmark in ("aic-icc@10k-pairs", "aic-icc@10k-images"):
        [row] = [row for row in published_for(benchmark) if "BriVL" in row.model]
        assert row.printed == {
            "i2t_r1": "20.3",
            "i2t_r5": "37.0",
            "i2t_r10": "45.6",
            "t2i_r1": "14.4",
            "t2i_r10": "39.1",
        }
        assert "R@5 is missing" in row.footnote and "39.1, as R@5 and as R@10" in row.footnote
    [row] = published_for("ruc-cas-wenlan")
    assert list(row.printed.values()) == ["36.0", "55.4", "62.1", "36.1", "55.5", "62.2"]
    assert "no command here measures it" in protocol_of("ruc-cas-wenlan")


def test_fine_tuned_figures_are_marked_and_last():
    settings = [row.setting for row in published_for("flickr30k-cn")]
    assert settings == sorted(settings, reverse=True) and settings[-1] == "fine-tuned"
    assert not any(row.model.startswith("ERNIE") for row in published_for("flickr30k-cn"))
    [ours] = published_for("flickr30k-cn@val")
    assert ours.setting == "fine-tuned" and ours.printed["t2i_r1"] == "72.42" and "validation" in ours.footnote


def test_full_names_mean_the_same():
    for full in ("flickr30k-cn@1k", "flickr30k@1k", "muge@valid", "cbvs@20k"):
        bare = full.partition("@")[0]
        assert published_for(full) == published_for(bare) != [] and protocol_of(full) == protocol_of(bare) != ""
    assert published_for("flickr30k@val") == published_for("muge@train") == []


def test_protocols_are_named():
    assert "1,053" in protocol_of("coco-cn@1053") and "food-101" in protocol_of("elevater-zh@food-101")
    assert protocol_of("mine@x") == "" and protocol_of("elevater-zh").endswith("prompts")
