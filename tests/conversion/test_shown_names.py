"""What a stranger's file says is printed with escapes, not only in errors."""

import json

from ernie_vil2.cli import convert
from ernie_vil2.training.log.console import tell
from tests.checkpoints.layouts import foreign

ESCAPE = "\x1b[2J\x07"


def test_no_setting_reaches_the_terminal_as_it_is(tmp_path, capsys):
    settings = foreign.SETTINGS | {"model_type": f"bert{ESCAPE}", "layer_norm_eps": 1e-12, "hidden_act": "gelu"}
    pixels = {"resample": ESCAPE, "image_mean": ESCAPE}
    foreign.write_source(tmp_path / "a", foreign.ernie_vil(), settings, preprocessor_config=pixels)
    (tmp_path / "a" / "config.json").write_text(
        json.dumps({"text_config": settings, "vision_config": {"num_attention_heads": 4}})
    )
    convert.main([str(tmp_path / "a"), str(tmp_path / "b"), "--no-check"])
    said = capsys.readouterr().out
    assert "Pillow's filter" in said and "\x1b" not in said and "\x07" not in said and "\\x1b[2J" in said


def test_no_note_of_a_run_moves_the_cursor(capsys):
    tell(f"a{ESCAPE}\nb")
    assert capsys.readouterr().out == "a\\x1b[2J\\x07\nb\n"
