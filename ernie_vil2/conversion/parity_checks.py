"""A comparison of wanted and found values as a line of a table, and the table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..pages.terminal import aligned

EMBED_ABSOLUTE = 1e-4
EMBED_COSINE = 0.999999
LOSS_ABSOLUTE = 1e-5
GRADIENT_RELATIVE = 1e-3


@dataclass
class Check:
    """One line of the table."""

    name: str
    wanted: str
    got: str
    difference: str
    passed: bool


def same_width(left: np.ndarray, right: np.ndarray) -> list[np.ndarray]:
    """Two lists of token ids [N, L], padded with 0 to the longer length."""
    width = max(left.shape[1], right.shape[1])
    return [np.pad(ids, ((0, 0), (0, width - ids.shape[1]))) for ids in (left, right)]


def equal(name: str, wanted: Sequence[np.ndarray], got: Sequence[np.ndarray], labels: Sequence[str]) -> Check:
    """Check that integer arrays are equal item by item."""
    worst, different, where = 0, 0, ""
    for label, want, have in zip(labels, wanted, got, strict=True):
        if np.shape(want) != np.shape(have):
            return Check(name, f"{np.shape(want)}", f"{np.shape(have)}", f"shape of {short(label)}", False)
        gap = np.abs(np.asarray(want, np.int64) - np.asarray(have, np.int64))
        different += int(np.count_nonzero(gap))
        if gap.max() > worst:
            worst, where = int(gap.max()), f" at {short(label)}"
    total = sum(np.size(want) for want in wanted)
    return Check(name, f"{total:,} equal", f"{total - different:,} equal", f"{worst}{where}", not different)


def close(name: str, wanted: np.ndarray, got: np.ndarray, labels: Sequence[str]) -> Check:
    """Check raw embeddings [N, D]: absolute difference and cosine."""
    if wanted.shape != got.shape:
        return Check(name, f"{list(wanted.shape)}", f"{list(got.shape)}", "shape", False)
    wanted, got = wanted.astype(np.float64), got.astype(np.float64)
    gap = np.abs(wanted - got).max(axis=1)
    cosine = ((wanted * got).sum(axis=1) / np.sqrt((wanted**2).sum(axis=1) * (got**2).sum(axis=1))).min()
    worst = int(np.argmax(np.nan_to_num(gap, nan=np.inf)))
    passed = bool(gap.max() <= EMBED_ABSOLUTE and cosine >= EMBED_COSINE)
    return Check(
        name,
        f"<= {EMBED_ABSOLUTE:g}, cosine >= {EMBED_COSINE}",
        f"cosine {cosine:.8f}",
        f"{gap[worst]:.2e} at {short(labels[worst])}",
        passed,
    )


def number(name: str, wanted: ArrayLike, got: ArrayLike, tolerance: float) -> Check:
    """Check one number or a short row of numbers against an absolute tolerance."""
    wanted, got = np.atleast_1d(np.asarray(wanted, np.float64)), np.atleast_1d(np.asarray(got, np.float64))
    gap = float(np.abs(wanted - got).max())
    shown = [" ".join(f"{value:.6f}" for value in values) for values in (wanted, got)]
    return Check(name, *shown, f"{gap:.2e}", gap <= tolerance)


def gradients(wanted: Mapping[str, float], got: Mapping[str, float]) -> Check:
    """Check norms {key: float}, relative; text key biases are left out, their gradient is zero but for rounding."""
    keys = [key for key in wanted if not (key.startswith("text_model.") and key.endswith(".attn.k.bias"))]
    gaps = {key: abs(got[key] - wanted[key]) / max(wanted[key], 1e-12) if key in got else np.inf for key in keys}
    within = sum(gap <= GRADIENT_RELATIVE for gap in gaps.values())
    worst = max(gaps, key=lambda key: np.nan_to_num(gaps[key], nan=np.inf))
    return Check(
        "gradients",
        f"{len(keys)} norms, 0.1 %",
        f"{within} within",
        f"{gaps[worst] * 100:.4f} % at {worst}",
        within == len(keys),
    )


def short(label: str) -> str:
    """A text or file name in quotes, at most 24 characters of it."""
    return repr(label if len(label) <= 24 else label[:23] + "…")


def table(checks: Sequence[Check]) -> str:
    """The checks as lines of text."""
    rows = [("check", "wanted", "got", "largest difference", "")]
    rows += [
        (check.name, check.wanted, check.got, check.difference, "pass" if check.passed else "FAIL") for check in checks
    ]
    return aligned(rows)
