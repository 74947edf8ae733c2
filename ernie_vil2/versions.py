"""What a result was made with."""

import importlib.metadata
import platform

from .runtime import CARD_BUILDS

__version__ = "0.1.0"
DISTRIBUTIONS = {
    "paddle": (*CARD_BUILDS, "paddlepaddle"),
    "openvino": ("openvino",),
    "numpy": ("numpy",),
    "opencv": ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python"),
}


def versions() -> dict[str, str | None]:
    """Versions of this project, of Python and of what computes; None where something is not installed."""
    found = {"ernie_vil2": __version__, "python": platform.python_version()}
    for name, distributions in DISTRIBUTIONS.items():
        found[name] = next(filter(None, map(installed_version, distributions)), None)
    return found


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution, or None; nothing is imported."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
