"""Train a small model on drawn scenes in minutes, report on it, and index unseen ones.

The page is demo/report.html.
"""

from ..messages import plain
from ..runtime import import_paddle
from .arguments import Parser, add_replace, add_run
from .stopping import stoppable

EXAMPLES = """
ernie-vil2 demo
ernie-vil2 demo -c scenes_small                              # better, in 20 minutes
ernie-vil2 demo -o output=output/demo --replace
"""


def parser() -> Parser:
    """The arguments."""
    found = Parser(prog="ernie-vil2 demo", description=__doc__, examples=EXAMPLES)
    add_run(found, "demo")
    add_replace(found)
    return found


@stoppable(kept=True)
def main(argv: list[str] | None = None) -> int:
    """Train, write the page, index the unseen images, and print what was reached and what a search finds."""
    options = parser().parse_args(argv)

    import_paddle()
    from ..studies.demo.demo import REQUIRED, run_demo

    page, result, baseline, search = run_demo(options.config, options.override, replace=options.replace)
    print(f"unseen split, standard protocol, {result['num_images']:,} images, {result['num_texts']:,} captions:")
    print(f"{'':22}{'model':>8}{'colours and words':>20}{'required':>12}")
    for key in ("t2i_r1", "t2i_r5", "t2i_r10", "i2t_r1", "i2t_r5", "i2t_r10"):
        name = ("text to image " if key.startswith("t2i") else "image to text ") + "R@" + key.rpartition("r")[2]
        wanted = f">= {REQUIRED[key]:.0f}" if key in REQUIRED else ""
        print(f"{name:22}{result[key]:7.1f}%{baseline[key]:19.1f}%{wanted:>12}")
    print(plain(f"report: {page}"))
    print(search)
    return 0
