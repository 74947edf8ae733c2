"""Loading the released size: memory peaks at little more than the model itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from ernie_vil2.checkpoints.formats.paddle_file import write_pdparams
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.config.model import ModelConfig
from tests.conftest import ROOT
from tests.standin import standin_tensor

LOAD = """
import sys, ernie_vil2
model = ernie_vil2.load(sys.argv[1], vocab=sys.argv[2])
status = dict(line.split(":", 1) for line in open("/proc/self/status") if line.startswith("Vm"))
print(status["VmRSS"].split()[0], status["VmHWM"].split()[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_loading_peaks_at_most_1_2_files_above_the_loaded_model(tmp_path, tiny_vocab):
    path = tmp_path / "base.pdparams"
    write_pdparams(path, {key: standin_tensor(key, shape) for key, shape in manifest(ModelConfig()).items()})
    size = path.stat().st_size / 1024
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(path), str(tiny_vocab)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    after, peak = (int(value) for value in done.stdout.split())
    assert size > 700_000 and after > size
    assert peak <= after + 1.2 * size
