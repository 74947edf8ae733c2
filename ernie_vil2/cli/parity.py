"""Compare a model with what the release computes, or with its published numbers.

Prints a table of checks; the status is 1 when one fails. docs/parity.md says what is compared.
"""

from pathlib import Path

import ernie_vil2

from ..checkpoints.layouts.brivl.sizes import SYSTEM as BRIVL
from ..conversion import parity
from ..conversion.parity_checks import table
from ..conversion.parity_fixture import read_fixture
from ..conversion.published_brivl import WANTED, check_brivl
from ..errors import DataError
from .arguments import Parser, add_plugin, model_path
from .stopping import stoppable

EXAMPLES = """
ernie-vil2 parity model --fixture fixture
ernie-vil2 parity model --published --image 000000039769.jpg
ernie-vil2 parity brivl --published --examples imgs          # BriVL's three images
"""


def parser() -> Parser:
    """The arguments."""
    found = Parser(prog="ernie-vil2 parity", description=__doc__, examples=EXAMPLES)
    found.add_argument(
        "model", type=model_path, metavar="MODEL", help="model directory, the folder of a run, or .pdparams"
    )
    found.add_argument("--fixture", metavar="DIR", help="directory with texts.json, images/, expected.npz")
    found.add_argument(
        "--published",
        action="store_true",
        help="check the published numbers of the released base ViT (--image), or of BriVL (--examples)",
    )
    found.add_argument("--image", metavar="FILE", help="COCO val2017 000000039769.jpg, for --published")
    found.add_argument(
        "--examples", metavar="FOLDER", help="BriVL's three example images and their lines, for --published"
    )
    found.add_argument("--vocab", help="vocabulary of a .pdparams (default: vocab.txt of the fixture)")
    found.add_argument("--no-gradients", action="store_true", help="skip the gradient norms, the slow part")
    add_plugin(found)
    return found


@stoppable()
def main(argv: list[str] | None = None) -> int:
    """Print the table of checks; the status is 1 when one fails."""
    arguments = parser()
    args = arguments.parse_args(argv)
    if not (args.fixture or args.published):
        arguments.error("give --fixture DIR, --published, or both")
    fixture = read_fixture(args.fixture) if args.fixture else None
    vocab = args.vocab
    if not vocab and fixture and Path(args.model).is_file() and (Path(args.fixture) / "vocab.txt").is_file():
        vocab = Path(args.fixture) / "vocab.txt"
    model = ernie_vil2.load(args.model, vocab)
    of_brivl = model.config.system == BRIVL
    if args.published and not (args.examples if of_brivl else args.image):
        raise DataError(WANTED if of_brivl else parity.PUBLISHED_IMAGE)
    checks = []
    if fixture:
        checks += parity.check_fixture(model, fixture, None if args.no_gradients else model.network)
    if args.published:
        checks += check_brivl(model, args.examples) if of_brivl else parity.check_published(model, args.image)
    print(table(checks))
    return 0 if all(check.passed for check in checks) else 1
