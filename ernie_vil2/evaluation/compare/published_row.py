"""A row of a published table: its model, figures as printed, source and setting."""

from dataclasses import dataclass

ZERO_SHOT, FINE_TUNED, UNSAID = "zero-shot", "fine-tuned", "not said"


@dataclass(frozen=True)
class Published:
    """A row of a published table. benchmarks: names under which it is shown. printed: {metric: figure as printed}."""

    model: str
    benchmarks: tuple[str, ...]
    printed: dict[str, str]
    source: str
    setting: str = ZERO_SHOT
    footnote: str = ""


def recalls(t2i: str = "", i2t: str = "", **others: str) -> dict[str, str]:
    """{metric: figure} of `R@1/R@5/R@10` of both directions, a dash or nothing being unknown, and of other metrics."""
    found = {}
    for name, line in (("t2i", t2i), ("i2t", i2t)):
        for k, figure in zip((1, 5, 10), line.split("/"), strict=False):
            if figure not in ("", "-"):
                found[f"{name}_r{k}"] = figure
    return {**found, **others}
