"""docs/serving.md names what there is: every option, every address, every metric, and a search that is one."""

import json
import re

import pytest

from ernie_vil2.cli.main import dispatch
from ernie_vil2.serving.app import ROUTERS
from ernie_vil2.serving.schemas.searches import SearchRequest
from ernie_vil2.serving.telemetry.metrics import Metrics
from tests.conftest import ROOT

TEXT = (ROOT / "docs/serving.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("verb", ["serve", "up"])
def test_every_option_is_documented(verb, capsys):
    with pytest.raises(SystemExit):
        dispatch([verb, "--help"])
    usage = capsys.readouterr().out.partition("\n\n")[0]
    options = set(re.findall(r"--[a-z-]+", usage))
    assert "--host" in options and [option for option in sorted(options) if f"`{option}" not in TEXT] == []


def test_every_address_is_documented():
    routes = {route.path for router in ROUTERS for route in router.routes if getattr(route, "include_in_schema", False)}
    told = {path.replace("{index}", "INDEX").replace("{id}", "ID").removesuffix("/{token}") for path in routes}
    assert "/api/indexes/INDEX/search" in told
    assert [path for path in sorted(told) if not re.search(rf"{path}(?=[`?])", TEXT)] == []


def test_every_metric_is_documented():
    names = {metric.name for metric in Metrics().registry.collect()}
    assert len(names) > 5
    assert [name for name in sorted(names) if f"`{name.removeprefix('ernie_vil2_')}" not in TEXT] == []


def test_the_search_that_is_shown_is_one():
    example = re.search(r"```json\n(\{\"parts\".*?)```", TEXT, re.DOTALL)[1]
    assert SearchRequest(**json.loads(example)).k == 40
