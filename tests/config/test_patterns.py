"""A regular expression of a configuration is compared with names in bounded time, or refused in a sentence."""

import re
import time

import pytest

from ernie_vil2.config.optimizer import OptimizerConfig
from ernie_vil2.config.patterns import MOST_CHARACTERS, pattern_error
from ernie_vil2.errors import ConfigError
from ernie_vil2.schema import build

NAMES = ["text_model.encoder_stack.block.11.attn.q.weight" * 2, "t" * 100, "visual.blocks.0.norm1.bias"]
TAKEN = [
    r"visual\..*",
    r"text_model\.encoder_stack\.block\.([0-9]|1[0-9])\..*",
    r".*(pos_emb|positional_embedding|class_embedding).*",
    r"(shared|image_proj|text_proj)\..*",
    r"visual\.(?!proj).*",
    ".*a.*b.*c.*d",
    "(foo|bar)*",
    "(a|bc)+x",
    "(?i)V.*",
    "a{1,4294967294}",
    "((a{1000}){1000}){1000}",
    "(" * 90 + "a" + ")" * 90,
]
REFUSED = {
    "a{99999999999}": "the repetition number is too large",
    "(": "missing \\)",
    "[": "unterminated",
    "a**": "multiple repeat",
    "": "not empty",
    "x" * (MOST_CHARACTERS + 1): "at most 500 characters",
    "(" * 1000 + ")" * 1000: "at most 500 characters",
    **dict.fromkeys(
        [
            *("(.+)+x", "(.*)*", "((a|a)*b)", "(.|t)*x", "(?i)(ab|AB)*x", "(|a)*", ".*.*.*.*.*x", "(t?){50}t{50}"),
            *("(?=(.*)*)x", "(?!(.+)+).*", "(a)?(?(1)(.*)*|b)", ".{0,50}" * 10, "(?:(?:a|ab)(?:c|bcd)d*)*"),
        ],
        "fits in fewer ways",
    ),
}


@pytest.mark.parametrize("pattern", TAKEN)
def test_what_is_taken_is_compared_soon(pattern):
    assert pattern_error(pattern) is None
    start = time.monotonic()
    for name in NAMES:
        re.fullmatch(pattern, name)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("pattern", REFUSED, ids=lambda pattern: pattern[:20])
@pytest.mark.parametrize("kind", ["freeze", "groups"])
def test_what_is_refused_is_one_sentence(pattern, kind):
    with pytest.raises(ConfigError, match=REFUSED[pattern]) as caught:
        build(OptimizerConfig, {kind: [{"match": pattern}]}, "run.yaml")
    assert f"optimizer.{kind}: [0].match is " in str(caught.value) and len(str(caught.value)) < 480
