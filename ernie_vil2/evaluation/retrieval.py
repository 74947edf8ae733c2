"""Retrieval measured on embeddings, and its figures as a table."""

from ..messages import counted
from .embeddings import Embeddings
from .metrics.ranks import PROTOCOLS, percent, retrieval_metrics


def evaluate(embeddings: Embeddings, protocol: str = "both") -> dict[str, dict[str, float]]:
    """{protocol: metrics} of `retrieval_metrics` for "official", "standard" or "both".

    Where the texts are known, by their keys, `standard` counts every equal text as right.
    """
    results = {}
    for name in PROTOCOLS if protocol == "both" else (protocol,):
        image, owner = embeddings.image, embeddings.text_image
        if name == "official":
            image = embeddings.pairs_image
            if image is None:
                image = embeddings.image[embeddings.text_image]
        results[name] = retrieval_metrics(image, embeddings.text, owner, name, text_keys=embeddings.text_keys)
    return results


def table(results: dict[str, dict[str, float]]) -> str:
    """Text of a table per protocol; percentages as the release prints them."""
    lines = []
    for name, values in results.items():
        lines.append(
            f"{name} protocol: {counted(values['num_images'], 'image')}, {counted(values['num_texts'], 'text')}"
        )
        lines.append("| Name       |    R@1 |    R@5 |   R@10 | meanRecall |    MRR | median rank |")
        lines.append("|------------|--------|--------|--------|------------|--------|-------------|")
        for label, key in (("Text2Image", "t2i"), ("Image2Text", "i2t"), ("MeanRecall", "mean")):
            shown = [percent(values[f"{key}_{part}"]) for part in ("r1", "r5", "r10")]
            shown.append(percent(values["mean_recall" if key == "mean" else f"{key}_mean"]))
            tail = ("", "") if key == "mean" else (f"{values[f'{key}_mrr']:.4f}", f"{values[f'{key}_median_rank']:g}")
            lines.append(
                f"| {label} | {shown[0]:>6} | {shown[1]:>6} | {shown[2]:>6} | {shown[3]:>10} | "
                f"{tail[0]:>6} | {tail[1]:>11} |"
            )
        lines.append("")
    return "\n".join(lines).rstrip("\n")
