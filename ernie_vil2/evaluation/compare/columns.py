"""Which figures the tables of a comparison have, in which order, and how each is written."""

import math
from collections.abc import Mapping

import numpy as np

from ..metrics.ranks import percent

DIRECTIONS = {"t2i": "Text to image", "i2t": "Image to text"}
DASH = "–"
COLUMNS = {
    "t2i_r1": "T2I R@1",
    "t2i_r5": "T2I R@5",
    "t2i_r10": "T2I R@10",
    "t2i_mean": "T2I mean",
    "i2t_r1": "I2T R@1",
    "i2t_r5": "I2T R@5",
    "i2t_r10": "I2T R@10",
    "i2t_mean": "I2T mean",
    "mean_recall": "mean recall",
    "acc@1": "top-1",
    "acc@5": "top-5",
    "mean_per_class": "mean per class",
    "pnr": "PNR",
    "ndcg_1": "NDCG@1",
    "ndcg_5": "NDCG@5",
    "ndcg_10": "NDCG@10",
    "map": "MAP",
}
HIDDEN = {
    "mean_r1",
    "mean_r5",
    "mean_r10",
    "t2i_mrr",
    "i2t_mrr",
    "t2i_median_rank",
    "i2t_median_rank",
    "num_images",
    "num_texts",
    "num_image_queries",
    "num_text_queries",
}
SHAPES = {
    "pnr": "{:.3f}".format,
    "threshold": "{:.3f}".format,
    "false_positives_share": lambda value: percent(value) if value >= 0.1 or not value else significant(value),
}
PARTS = {
    "t2i_mean": ("t2i_r1", "t2i_r5", "t2i_r10"),
    "i2t_mean": ("i2t_r1", "i2t_r5", "i2t_r10"),
    "mean_recall": ("t2i_r1", "t2i_r5", "t2i_r10", "i2t_r1", "i2t_r5", "i2t_r10"),
}
DECISION_COLUMNS = {
    "threshold": "threshold",
    "recall": "recall",
    "false_positives_share": "wrong pairs taken",
    "precision": "precision, all pairs",
    "f1": "F1, all pairs",
    "balanced_precision": "precision, balanced",
    "balanced_f1": "F1, balanced",
}


def shown(key: str, value: float | None) -> str | None:
    """A figure of ours as text; None where there is none."""
    return None if value is None or not math.isfinite(value) else SHAPES.get(key, percent)(value)


def significant(value: float) -> str:
    """Two digits that count, without an exponent."""
    return np.format_float_positional(value, 2, fractional=False, trim="-")


def with_means(printed: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """(figures with the means that their source leaves out, the keys of those); rounded to one decimal."""
    values, computed = dict(printed), []
    for key, parts in PARTS.items():
        if key not in printed and all(part in printed for part in parts):
            values[key] = f"{np.round(np.mean([float(printed[part]) for part in parts]), 1):.1f}"
            computed.append(key)
    return values, computed


def figure(text: str | None, computed: bool = False) -> str:
    """The text of a cell: the figure, or a dash."""
    return DASH if text is None else f"≈ {text}" if computed else text
