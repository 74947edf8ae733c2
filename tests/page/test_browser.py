"""Where the browser comes from, and what is said where there is none."""

import os
import subprocess

import pytest

from tests.conftest import ROOT
from tests.page import browsers


def test_a_missing_browser_is_told_with_the_command_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    with pytest.raises(AssertionError, match="apt-get install chromium fonts-noto-cjk"):
        browsers.executable()
    monkeypatch.setenv("CHROMIUM", "/nowhere/chromium")
    with pytest.raises(AssertionError, match=r"no browser \(CHROMIUM=/nowhere/chromium\).*apt-get install"):
        browsers.executable()


def test_a_browser_that_does_not_start_is_told_with_that_command(monkeypatch, browser, tmp_path):
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CHROMIUM", str(broken))

    class Playwright:
        chromium = browser.browser_type

    with pytest.raises(AssertionError, match="does not start; run: .*apt-get install chromium"):
        browsers.launched(Playwright)


def test_the_script_of_ci_finds_the_same_browser(monkeypatch):
    done = subprocess.run([ROOT / ".ci" / "browser"], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == f"browser: {browsers.executable()}"


def test_the_script_of_ci_tells_others_than_root_what_to_run(tmp_path):
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", ROOT / ".ci" / "browser"], capture_output=True, text=True, env={"PATH": str(tmp_path)}
    )
    assert done.returncode == 1
    assert "sudo apt-get update && sudo apt-get install chromium fontconfig fonts-noto-cjk" in done.stderr
