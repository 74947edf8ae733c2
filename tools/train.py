"""Train a dual encoder from a configuration file: train.py -c configs/x.yaml -o key=value ..."""

import argparse

from ernie_vil2.errors import run_tool
from ernie_vil2.runtime import import_paddle


def main(argv=None):
    parser = argparse.ArgumentParser(prog="train.py", description=__doc__)
    parser.add_argument("-c", "--config", required=True, help="YAML file, see configs/")
    parser.add_argument(
        "-o", "--override", action="append", default=[], metavar="KEY=VALUE", help="for example -o train.steps=100"
    )
    parser.add_argument("--check", action="store_true", help="check the configuration and stop")
    options = parser.parse_args(argv)

    from ernie_vil2.config import load_run

    config = load_run(options.config, options.override)
    if options.check:
        print(f"{options.config}: the configuration is right")
        return 0

    import_paddle()
    from ernie_vil2.training.trainer import Trainer

    path = Trainer(config).run()
    print(f"model directory: {path}")
    return 0


if __name__ == "__main__":
    run_tool(main)
