"""What the target `onnx` refuses before it reads weights; what it writes is tried in tests/interop/test_onnx.py."""

from dataclasses import replace

import pytest

from ernie_vil2.errors import ConfigError
from ernie_vil2.export import graph_targets, onnx_graph
from ernie_vil2.export.targets import TARGETS
from tests.conftest import ROOT
from tests.inference.engines.towers import PLAIN

ONNX = TARGETS["onnx"]


@pytest.mark.parametrize("lacking", ONNX.distributions)
def test_a_package_that_is_not_installed(lacking, monkeypatch):
    monkeypatch.setattr(graph_targets, "installed_version", lambda name: None if name == lacking else "1")
    with pytest.raises(ConfigError, match=f"^--to onnx needs {lacking}, .* pip install --no-deps -r requirements-exp"):
        ONNX.check(PLAIN)
    (file,) = (word for word in ONNX.install.split() if word.endswith(".txt"))
    assert f"\n{lacking}==" in (ROOT / file).read_text(encoding="utf-8")


def test_a_tower_that_no_file_holds(monkeypatch):
    monkeypatch.setattr(graph_targets, "installed_version", lambda name: "1")
    ONNX.check(PLAIN)
    wide = replace(PLAIN.text_tower, vocab_size=600_000, width=1024, projection=16)
    with pytest.raises(ConfigError, match=r"^the text tower has 2\.3 GiB .* under 2 GiB; export it with --to openvino"):
        ONNX.check(replace(PLAIN, text_tower=wide))


def test_a_program_that_no_file_holds(monkeypatch):
    monkeypatch.setattr(onnx_graph, "LARGEST", 4 * 2**10)
    with pytest.raises(ConfigError, match="^the image tower has 0.0 GiB"):
        onnx_graph.check_size(PLAIN)
