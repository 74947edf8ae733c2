"""The example of docs/extending.md does what is said of it: it trains, goes on, and its model directory loads."""

import ast
import re
import subprocess
import sys

from tests.conftest import ROOT
from tests.training.runs import environment, write_config

AFTER = """
    from pathlib import Path
    from ernie_vil2.checkpoints.formats.safetensors_file import open_safetensors
    assert model.network.scale == 0.3 and trainer.rig.system.steps == 2
    assert int(open_safetensors(path / "system.safetensors")["steps"][0]) == 2
    again = Trainer(load_run(sys.argv[1], [*OPTIONS, "train.steps=3"]), "auto")
    again.run()
    assert again.rig.system.steps == 3
    print("all of it")
"""


def test_the_example_trains_goes_on_and_loads(tmp_path):
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    system, script = re.findall(
        r"^```python\n(.*?)^```$", text.partition("### An example")[2], re.MULTILINE | re.DOTALL
    )
    (tmp_path / "extra.py").write_text(system, encoding="utf-8")
    options = re.search(r'load_run\("configs/demo.yaml", (\[.*?\])\)', script)
    assert options, "the script reads a configuration"
    script = script.replace(options[0], "load_run(sys.argv[1], OPTIONS)")
    wanted = [value for value in ast.literal_eval(options[1]) if not value.startswith("output=")]
    path = write_config(tmp_path, train={"steps": 2, "batch_size": 6}, optimizer={"warmup": 0}, data__workers=1)
    (tmp_path / "script.py").write_text(f"import sys\nOPTIONS = {wanted!r}\n{script}{AFTER}", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(tmp_path / "script.py"), str(path)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stdout.endswith("all of it\n"), done.stderr[-2000:]
