"""What a person reads of a run: a line of a step, and a line of an evaluation; the log file has the rest."""

import os
import sys
from collections.abc import Mapping, Sequence

from ...messages import brief, plain

Values = Mapping[str, float | int | str | None]
LONGEST_LINE = 4000
WIDE = 200
"""Columns of a terminal beside whose progress bar a whole line has room"""
DIRECTIONS = (("text to image", "t2i"), ("image to text", "i2t"))


def tell(text: str) -> None:
    """Print a line. Characters that the terminal lacks are escaped; when nobody reads any more, nothing is printed."""
    if sys.stdout is None:
        return
    try:
        lines = (brief(line, LONGEST_LINE) for line in text.split("\n"))
        print(writable("\n".join(lines), sys.stdout.encoding or "utf-8"), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # its disk is full, or it is closed


def writable(text: str, encoding: str = "utf-8") -> str:
    """The text with escapes for what an encoding lacks and for control characters: names of files may hold both."""
    shown = "\n".join(map(plain, text.split("\n")))
    return str(shown.encode(encoding, "backslashreplace"), encoding)


def formatted(value: float | int | str | None) -> str:
    """A value of the full line."""
    if isinstance(value, float):
        return f"{value:.3e}" if value and abs(value) < 1e-3 else f"{value:.4f}"
    return str(value)


def full_line(kind: str, step: int, values: Values) -> str:
    """Everything that a record holds."""
    return f"{kind} step {step}: " + ", ".join(f"{key} {formatted(value)}" for key, value in values.items())


def step_summary(values: Values, parts: Sequence[str]) -> str:
    """Loss and the named parts of it, learning rate, speed, remaining time."""
    told = ", ".join(f"{name} {values[name]:.4f}" for name in parts)
    found = [f"loss {values['loss']:.4f}" + (f" ({told})" if told else "")]
    if "lr" in values:
        found.append(f"lr {values['lr']:.2e}")
    if "ips" in values:
        found += [f"{values['ips']:,.1f} pairs/s", f"{values['eta']} left"]
    return ", ".join(found)


def bar_summary(values: Values, parts: Sequence[str], columns: int) -> str:
    """What fits beside a progress bar in a terminal of so many columns: everything in a wide one, or the figures."""
    if columns >= WIDE:
        return step_summary(values, parts)
    found = [f"loss {values['loss']:.3f}"]
    found += [f"{values['ips']:,.0f} pairs/s"] if "ips" in values else []
    return ", ".join(found)


def recall_summary(values: Values) -> str:
    """Recall at 1, 5 and 10 of both directions, and their mean, in percent."""
    found = [
        f"{words} R@1/5/10 " + "/".join(f"{values[f'{short}_r{k}']:.1f}" for k in (1, 5, 10))
        for words, short in DIRECTIONS
    ]
    return ", ".join([*found, f"mean recall {values['mean_recall']:.1f}"])


def short_line(kind: str, step: int, total: int, values: Values, parts: Sequence[str]) -> str:
    """A step of all steps with what a person looks at."""
    if "mean_recall" in values:
        source = values.get("source")
        return f"{kind} step {step:,}/{total:,}" + (f" on {source}" if source else "") + f": {recall_summary(values)}"
    if "loss" in values:
        return f"step {step:,}/{total:,}: {step_summary(values, parts)}"
    return full_line(kind, step, values)
