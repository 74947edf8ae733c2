"""Embeddings of length 1."""

import numpy as np

SMALLEST_NORM = 1e-12


def unit_rows(embeds: np.ndarray) -> np.ndarray:
    """float32 [N, D]: the same array, its rows brought to length 1 in place; what has no length, or NaN, stays so."""
    norms = np.sqrt(np.einsum("nd,nd->n", embeds, embeds, dtype=np.float64))
    embeds /= np.maximum(norms, SMALLEST_NORM, dtype=np.float64)[:, None].astype(np.float32)
    return embeds
