"""The verb `queries` of `bench`: whole searches of an index, from a sentence to hits."""

import argparse

from ...files.claim import Claims
from ...files.json_files import write_json
from ...messages import plain
from ...studies.search.whole_searches import measure, table
from ..arguments import add_plugin, add_replace, count, model_path
from ..progress import note
from ..stopping import stoppable

COMMAND = "bench queries"

EXAMPLES = """
ernie-vil2 bench queries photos.index --rounds 20
"""


@stoppable()
def run(args: argparse.Namespace) -> None:
    """Search an index by new sentences and vectors, with filters and pages, in turns."""
    claims = Claims(COMMAND, [args.index, args.model], args.replace)
    claims.file(args.json)
    precisions = [name.strip() for name in args.precisions.split(",") if name.strip()]
    found = measure(args.index, args.model, precisions, args.rounds, note)
    print(table(found))
    if args.json:
        write_json(args.json, found.content(), COMMAND)
        print(plain(f"wrote {args.json}"))


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `queries` to the verbs of an argument parser."""
    verb = verbs.add_parser("queries", help=run.__doc__, description=run.__doc__, examples=EXAMPLES)
    verb.add_argument("index", metavar="DIR", help="folder of an index")
    verb.add_argument("--model", type=model_path, metavar="M", help="where the index's model lies, if it was moved")
    told = 'of encoding sentences, separated by commas; "" asks by vectors alone (default %(default)s)'
    verb.add_argument("--precisions", default="fp32", metavar="NAMES", help=told)
    verb.add_argument("--rounds", type=count, default=100, metavar="N", help="of everything once (default %(default)s)")
    add_plugin(verb)
    verb.add_argument("--json", metavar="OUT", help="write the time of every search to this file")
    add_replace(verb)
    verb.set_defaults(run=run)
