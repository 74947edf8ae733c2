"""How far a search must look: questions whose answers are known, and the least effort that answers almost all.

Two sorts of questions. `near` ones are rows with some noise, as pictures are that ask for pictures like them. `far`
ones have little in common with any row, as sentences have that ask for pictures: a direction of the data at a cosine
of about a third, and noise. Their neighbours lie in many lists. Where rows of the other side of an index are given,
these are the far ones.
"""

from collections.abc import Mapping

import numpy as np

from ...keys import generator
from ..store.part import Part
from .neighbours import Neighbours
from .ranking import recall

AT = 10
QUESTIONS = 256
"""Of each sort"""
NOISE = 0.5
"""Length of the noise on a near question, whose row has length 1"""
SIGNAL = 0.35
"""Length of what a far question has in common with the data, of 1 in all"""
WANTED = 0.985
"""Recall at 10 of either sort that is aimed at"""
STEP = 1.25
"""So many times as much effort is tried next"""
EFFORTS = {"probes": (16, 4096), "sight": (32, 2048)}
CANDIDATES = (50, 100, 200, 300, 400)


def questions(part: Part, ids: np.ndarray, others: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """{sort: unit vectors [n, D]} to ask a side for, the same for the same rows.

    ids: living rows, not empty. others: embeddings of the other side, float32 [n, D], to take for far ones.
    """
    rng = generator("questions", part.side, len(ids))
    rows = part.vectors(np.sort(rng.choice(ids, min(2 * QUESTIONS, len(ids)), replace=False)))
    middle = rows.mean(axis=0)
    near, far = rows[::2], rows[1::2] if len(rows) > 1 else rows
    asked = {"near": unit(near + NOISE * unit(rng.standard_normal(near.shape)))}
    noise = unit(rng.standard_normal(far.shape))
    asked["far"] = unit(SIGNAL * unit(far - middle) + np.sqrt(1 - SIGNAL**2) * noise)
    if others is not None and len(others):
        asked["far"] = unit(others[rng.choice(len(others), min(QUESTIONS, len(others)), replace=False)])
    return asked


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors [n, D] of length 1, float32."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def tuned(neighbours: Neighbours, asked: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Set the options of a search to the least that finds what is wanted, or to the most; {sort: its recall at 10}.

    right: {sort: ids [n, 10]} of the exact search.
    """
    options = neighbours.options
    effort = next((name for name in EFFORTS if name in options), None)
    if effort is not None:
        least, most = EFFORTS[effort]
        most = min(most, options.get("lists", most))
        options[effort] = min(least, most)
        while options[effort] < most and not enough(measured(neighbours, asked, right)):
            options[effort] = min(round(STEP * options[effort]), most)
    found = measured(neighbours, asked, right)
    floor = {sort: min(WANTED, value) for sort, value in found.items()}
    for count in CANDIDATES[:-1]:
        options["candidates"] = count
        fewer = measured(neighbours, asked, right)
        if all(fewer[sort] >= floor[sort] for sort in fewer):
            return fewer
    options["candidates"] = CANDIDATES[-1]
    return found


def measured(
    neighbours: Neighbours, asked: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """{sort: recall at 10} of a search as its options are."""
    return {sort: recall(neighbours.search(queries, AT)[1], right[sort]) for sort, queries in asked.items()}


def enough(found: Mapping[str, float]) -> bool:
    """Whether recall is as wanted."""
    return all(value >= WANTED for value in found.values())
