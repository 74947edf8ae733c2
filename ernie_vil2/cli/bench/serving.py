"""The verb `serving` of `bench`: how many clients a server answers, and how fast."""

import argparse
from pathlib import Path

from ...errors import ConfigError
from ...files.claim import Claims
from ...files.json_files import write_json
from ...files.leftovers import scratch_folder
from ...messages import plain
from ..arguments import add_engine, add_replace, between, count, model_path
from ..progress import note
from ..stopping import stoppable

CLIENTS = between(int, 1, 1000)
SECONDS, MINUTES = between(float, 0.5, 3600), between(float, 0, 10_000)

EXAMPLES = """
ernie-vil2 bench serving                                     # a drawn index
ernie-vil2 bench serving photos.index --clients 1,8 --seconds 10
"""


@stoppable()
def run(args: argparse.Namespace) -> None:
    """Ask a server, in a process of its own, from more and more clients: times, rates, refusals, memory."""
    from ...studies.serving.drawn_index import random_model, write_drawn
    from ...studies.serving.load import measure
    from ...studies.serving.questions import SHARES
    from ...studies.serving.report import COMMAND, content, tables

    claims = Claims(COMMAND, [args.index, args.model] if args.index else [args.model], args.replace)
    claims.file(args.json)
    kinds = list(SHARES) if args.only is None else names_of(args.only, SHARES)
    settings = {"engine": args.engine, "precision": args.precision, "queue": args.queue}
    with scratch_folder("serving") as folder:
        index = args.index
        if index is None:
            model = Path(args.model) if args.model else random_model(folder / "model")
            note(f"drawing an index of {args.rows:,} vectors")
            index = folder / "drawn"
            write_drawn(index, args.rows, model)
        elif args.model:
            settings["model"] = args.model
        asked = args.clients, args.seconds, kinds, args.soak
        found = measure(index, settings, *asked, folder / "server.log", note, args.plugins)
    print(tables(found))
    if args.json:
        write_json(args.json, content(found), COMMAND)
        print(plain(f"wrote {args.json}"))


def counts(text: str) -> list[int]:
    """Numbers of clients, separated by commas."""
    return [CLIENTS(number) for number in text.split(",")]


def names_of(text: str, known: dict[str, float]) -> list[str]:
    """Names of kinds of questions, separated by semicolons; ConfigError for one that is none."""
    names = [name.strip() for name in text.split(";") if name.strip()]
    if not names or set(names) - set(known):
        raise ConfigError(f"--only is {text!r}; give some of {'; '.join(known)}")
    return names


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `serving` to the verbs of an argument parser."""
    verb = verbs.add_parser("serving", help=run.__doc__, description=run.__doc__, examples=EXAMPLES)
    verb.add_argument("index", type=Path, nargs="?", metavar="DIR", help="folder of an index; default: a drawn one")
    told = "where the index's model lies, if it was moved; of a drawn index its model (default: random, base size)"
    verb.add_argument("--model", type=model_path, metavar="M", help=told)
    verb.add_argument("--rows", type=count, default=100_000, metavar="N", help="of a drawn index (default %(default)s)")
    told = "clients that ask side by side, separated by commas, a round each (default %(default)s)"
    verb.add_argument("--clients", type=counts, default="1,8,32", metavar="N", help=told)
    verb.add_argument("--seconds", type=SECONDS, default=20, metavar="S", help="of a round (default %(default)s)")
    told = 'kinds of questions, separated by semicolons, such as "text; picture"; default: all, in usual shares'
    verb.add_argument("--only", metavar="NAMES", help=told)
    told = "minutes of a long round at the most clients, afterwards, told minute by minute (default: none)"
    verb.add_argument("--soak", type=MINUTES, default=0, metavar="MINUTES", help=told)
    verb.add_argument("--queue", type=count, default=64, metavar="N", help="of the server (default %(default)s)")
    add_engine(verb)
    verb.add_argument("--json", metavar="OUT", help="write the time of every request to this file")
    add_replace(verb)
    verb.set_defaults(run=run)
