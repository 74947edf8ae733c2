"""The Chromium of this machine, and the sentence that tells how to get one."""

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL = "sudo apt-get update && sudo apt-get install chromium fonts-noto-cjk"
WIDTHS = {"phone": (390, 844), "desktop": (1280, 800)}
LOCALES = {"en": "en-GB", "zh": "zh-CN"}
PATIENCE = 60_000
"""Milliseconds that a page may take to show what a test looks for."""


def executable():
    """Path of CHROMIUM, or of the first of NAMES on PATH; AssertionError with the command that installs it."""
    named = os.environ.get("CHROMIUM")
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)
    place = f"CHROMIUM={named}" if named else ", ".join(NAMES)
    assert found, f"no browser ({place}); run: {INSTALL}, or name one by CHROMIUM=path"
    return found


def launched(playwright):
    """A started Chromium; AssertionError with the command that installs it."""
    path = executable()
    # The sandbox needs rights that containers lack; the pages are our own.
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    try:
        return playwright.chromium.launch(executable_path=path, args=arguments)
    except Exception as error:
        raise AssertionError(f"{path} does not start; run: {INSTALL}; it said: {error}") from error
