"""The libraries that decode, kept from printing: what they find is told once, by an ImageError."""

import contextlib
import ctypes
import functools
import logging
import os
import warnings
from types import ModuleType


@functools.cache
def opencv() -> ModuleType:
    """OpenCV, its log silenced unless OPENCV_LOG_LEVEL is set: a broken image is reported once, by its ImageError."""
    import cv2

    if "OPENCV_LOG_LEVEL" not in os.environ:
        log = getattr(cv2.utils, "logging", cv2)
        if hasattr(log, "setLogLevel"):
            log.setLogLevel(0)
    return cv2


@functools.cache
def pillow() -> ModuleType:
    """PIL.Image, without its warnings of what looks odd in a file or is large, and without the lines that its libtiff
    prints: errors and limits are told by ours."""
    from PIL import Image

    with contextlib.suppress(AttributeError, OSError):  # found through the library that is linked to it
        libtiff = ctypes.CDLL(Image.core.__file__)
        libtiff.TIFFSetErrorHandler(None)
        libtiff.TIFFSetWarningHandler(None)

    for module in (r"PIL\.", r"ernie_vil2\.data\.images\."):
        warnings.filterwarnings("ignore", module=module)
    logging.getLogger("PIL.TiffImagePlugin").setLevel(logging.CRITICAL)  # it logs what it raises as well
    return Image
