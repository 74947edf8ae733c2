"""Train by a recipe or a configuration file of your own; go on after a stop.

To stop: Ctrl-C or SIGTERM ends a run after its step and saves it; once more Ctrl-C ends it at once, unsaved. To
go on: the same command with `--resume auto`, after a kill too. Before a long run, --check reads the
configuration alone, and --doctor tries data, model and machine for a few minutes and says what would go wrong.
Several processes: Paddle's launcher, as below.

Status: 0 when done, 1 for what is wrong, the doctor's findings included, 130 after Ctrl-C.
"""

import argparse
import sys
from typing import TYPE_CHECKING

from ..files.paths.program import typed
from ..messages import plain
from ..runtime import import_paddle
from .arguments import Parser, add_run

if TYPE_CHECKING:
    from ..config.run import RunConfig

EXAMPLES = """
ernie-vil2 train -c demo                                     # on drawn scenes
ernie-vil2 train -c demo -o data.train=train.jsonl -o data.valid=valid.jsonl \\
    -o data.vocab=vocab.txt -o train.batch_size=8            # on your pictures
ernie-vil2 config demo > my.yaml                             # a copy to edit
ernie-vil2 train -c my.yaml --check
ernie-vil2 train -c my.yaml --doctor
ernie-vil2 train -c my.yaml --resume auto                    # go on where it was stopped
ernie-vil2 train -c my.yaml --resume output/try/checkpoints/step-0000020 -o output=output/other
python -m paddle.distributed.launch --nproc_per_node 2 ernie-vil2 train -c my.yaml
python -m paddle.distributed.launch --gpus 0,1 ernie-vil2 train -c my.yaml --resume auto
"""


def again(options: argparse.Namespace) -> str:
    """The command that goes on with a run."""
    overrides = [part for override in options.override for part in ("-o", override)]
    plugins = [part for module in options.plugins for part in ("--plugin", module)]
    return typed("train", "-c", options.config, *overrides, *plugins, "--resume", "auto")


def parser() -> Parser:
    """The arguments."""
    found = Parser(prog="ernie-vil2 train", description=__doc__, examples=EXAMPLES)
    add_run(found)
    found.add_argument(
        "--resume", metavar="auto|DIR", help="go on from the latest checkpoint of the output folder, or from this one"
    )
    found.add_argument("--check", action="store_true", help="check the configuration and stop")
    found.add_argument("--doctor", action="store_true", help="say in five lines what would go wrong, and stop")
    return found


def check(config: "RunConfig") -> None:
    """ConfigError for what the configuration alone shows to be wrong. Paddle is imported where that needs a model."""
    from ..config.model import PLAIN
    from ..data.batches.views import check_views

    check_views(config.objective.views(), config.data.augmentation)
    if config.model.system != PLAIN or config.model.settings or config.objective.second_caption == "same":
        import_paddle()
        from ..systems.registry import system_class
        from ..training.setup.preflight import check_second_caption

        system_class(config.model.system).settings(config.model)
        check_second_caption(config)
    if config.data.cache_locked or config.optimizer.names_parameters:
        import_paddle()
        from ..training.setup.layout import check_layout

        check_layout(config)


def main(argv: list[str] | None = None) -> int:
    """Train, or check the configuration, or ask the doctor; the exit status."""
    options = parser().parse_args(argv)

    from ..config.load import load_run

    config = load_run(options.config, options.override)
    if options.check:
        check(config)
        print(plain(f"{options.config}: the configuration is right"))
        return 0

    import_paddle()
    if options.doctor:
        from ..training.doctor import doctor

        lines = doctor.diagnose(config, lambda text: print(plain(f"doctor: {text}"), file=sys.stderr, flush=True))
        print(doctor.report(lines))
        return doctor.failed(lines)
    from ..training.trainer import Trainer

    trainer = Trainer(config, options.resume)
    path = trainer.run()
    if trainer.ranks.main:
        print(plain(f"model directory: {path}") if path else "nothing was trained yet, so nothing is saved")
        if trainer.stopped:
            hint = again(options) if trainer.ranks.size == 1 else "the same command and --resume auto"
            print(plain(f"stopped by a signal; go on with: {hint}"))
    sys.stdout.flush()
    trainer.leave()
    return trainer.status if trainer.ranks.size == 1 else 0
