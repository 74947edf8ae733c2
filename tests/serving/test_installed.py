"""What `pip install .` takes along: every file of the page, as the repository has it."""

import os

import pytest

from tests.conftest import ROOT


@pytest.fixture
def taken(monkeypatch):
    """The files that are no modules and are installed, from the root of the repository."""
    from setuptools import Distribution

    monkeypatch.chdir(ROOT)
    distribution = Distribution()
    distribution.parse_config_files()
    build = distribution.get_command_obj("build_py")
    build.ensure_finalized()
    return {
        os.path.join(place, name) for _, place, _, names in build.get_data_files_without_manifest() for name in names
    }


def test_the_whole_page_is_installed(taken):
    page = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "ernie_vil2/serving/page").rglob("*") if path.is_file()
    }
    assert "ernie_vil2/serving/page/index.html" in page and page <= taken


def test_nothing_else_is_taken_for_data(taken):
    others = {
        path for path in taken if not path.startswith(("ernie_vil2/serving/page/", "ernie_vil2/pages/templates/"))
    }
    recipes = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("configs/**/*") if path.is_file()}
    assert others == {"ernie_vil2/py.typed", *recipes}
