"""A real server on indexes of every kind, a real Chromium, and pages that are watched."""

import contextlib
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.page.browsers import LOCALES, PATIENCE, WIDTHS, launched
from tests.page.indexes import corpus, kept_folder
from tests.page.servers import Server
from tests.page.watching import Watch

SHOTS = Path(os.environ.get("PAGE_SHOTS") or ROOT / "build" / "page")


def pytest_ignore_collect(config):
    """Nothing here is imported unless it is run: no other suite has the packages of requirements-page.txt."""
    return True if not re.search(r"(?<!not )\bpage\b", config.getoption("markexpr")) else None


def pytest_collection_modifyitems(items):
    """Everything here is run by `make test-page` alone."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.page)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Folder of pictures, models and `indexes`, of all processes of a run; tests change none of it."""
    own = tmp_path_factory.getbasetemp()
    return corpus(kept_folder((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "corpus"))


@pytest.fixture(scope="session")
def server(made, tmp_path_factory):
    """A server on all indexes, for tests that leave it as it is."""
    running = Server(made / "indexes", cache=tmp_path_factory.mktemp("cache"))
    try:
        yield running.wait()
    finally:
        running.stop()


@pytest.fixture
def serve(tmp_path):
    """Function (indexes, options..., environment=None) -> a ready server of the test's own."""
    running = []

    def start(indexes, *options, environment=None):
        running.append(Server(indexes, *options, cache=tmp_path / f"cache {len(running)}", environment=environment))
        return running[-1].wait()

    yield start
    for one in running:
        one.stop()


@pytest.fixture
def own_indexes(made, tmp_path):
    """Function (names...) -> a folder with copies of these indexes, which a test may spoil."""

    def copied(*names):
        for name in names:
            shutil.copytree(made / "indexes" / name, tmp_path / "indexes" / name)
        return tmp_path / "indexes"

    return copied


@pytest.fixture(scope="session")
def browser():
    """Chromium; a machine without one fails here, with the command that installs it."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        chromium = launched(playwright)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, server, serve):
    """Function (path, language=, theme=, width=, touch=, to=) -> a page of a new visitor, watched by `page.watch`.

    The test fails at its end on any word of the console, any error, and any request to another origin. Pages are closed
    before the servers of `serve`, of which they still ask for pictures.
    """
    with contextlib.ExitStack() as contexts:
        watches = []

        def open_page(path="/", language="en", theme="light", width="desktop", touch=False, to=None):
            origin = (to or server).address
            context = browser.new_context(
                locale=LOCALES[language],
                color_scheme=theme,
                viewport=dict(zip(("width", "height"), WIDTHS[width], strict=True)),
                has_touch=touch,
                is_mobile=touch,
                reduced_motion="reduce",
                accept_downloads=True,
            )
            contexts.callback(context.close)
            context.set_default_timeout(PATIENCE)
            context.grant_permissions(["clipboard-read", "clipboard-write"], origin=origin)
            page = context.new_page()
            page.watch = Watch(page, origin)
            watches.append(page.watch)
            page.goto(origin + path)
            return page

        yield open_page
    assert [words for watch in watches for words in watch.complaints()] == []


@pytest.fixture
def shoot(request):
    """Function (page, feature, *details) -> None: keep a picture of the page, named by feature and details."""

    def keep(page, feature, *details):
        name = re.sub(r"[^\w-]+", "-", "_".join((feature, *details)))
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / f"{name}.png")

    return keep
