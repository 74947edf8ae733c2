"""Configurations of the ablation compared seed by seed: differences, their spread, and what that allows to say."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..runs.spread import side

Results = Sequence[Mapping[str, Any]]
"""What finished runs wrote: name, seed, config, metrics, log and minutes"""
COMMAND = "bench ablation"
"""What marks the files of the study as its own."""
NAMES = {
    "image_text": "image-text",
    "image_image": "+ image-image",
    "text_text": "+ text-text",
    "tags": "+ tags",
    "all": "all views",
}
BASE = "image_text"


def figures(results: Results, name: str, key: str) -> dict[int, float]:
    """{seed: value} of a configuration."""
    return {result["seed"]: result["metrics"][key] for result in results if result["name"] == name}


def differences(results: Results, name: str, key: str) -> list[float]:
    """Values of a configuration minus those of image-text with the same seed."""
    own, base = figures(results, name, key), figures(results, BASE, key)
    return [own[seed] - base[seed] for seed in own if seed in base]


def verdict(values: Sequence[float]) -> str:
    """helps, hurts or neither: whether the 95 % interval of the mean difference lies on one side of zero."""
    if len(values) < 2:
        return "unknown with one seed"
    return {1: "helps", -1: "hurts", 0: "no difference beyond the spread"}[side(values)]
