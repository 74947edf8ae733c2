"""Draw a dozen pictures with captions, tags, tables, a vocabulary, to try commands on."""

import shlex
from pathlib import Path

from ..errors import ConfigError
from ..files.claim import Claims
from ..files.paths.names import name_text
from .arguments import Parser, add_replace
from .stopping import stoppable

NEXT = """\
cd {folder}
ernie-vil2 data check photos.jsonl --vocab vocab.txt
ernie-vil2 train -c demo -o data.train=train.jsonl -o data.valid=valid.jsonl -o data.vocab=vocab.txt \\
    -o train.steps=20 -o train.batch_size=8 -o optimizer.warmup=2 -o output=output/try"""

EXAMPLES = """
ernie-vil2 sample mine
ernie-vil2 sample mine --replace
"""


def parser() -> Parser:
    """The arguments."""
    found = Parser(prog="ernie-vil2 sample", description=__doc__, examples=EXAMPLES)
    found.add_argument("folder", metavar="DIR", help="folder to write; a sample that is as it was written is replaced")
    add_replace(found)
    return found


@stoppable()
def main(argv: list[str] | None = None) -> None:
    """Write the folder, and print what is in it and what to do with it."""
    options = parser().parse_args(argv)

    from ..data.sample_folder import COMMAND, FILES, PICTURES, changed, is_sample, write_sample

    Claims(COMMAND, [], options.replace).folder(options.folder, "a sample with nothing else in it", is_sample)
    if not options.replace and (names := changed(Path(options.folder))):
        raise ConfigError(
            f"{options.folder} is a sample in which {names[0]} was changed, so nothing was written; choose another "
            "name, or give --replace to replace it"
        )
    write_sample(options.folder)
    folder = name_text(options.folder)
    print(f"wrote {PICTURES} pictures to {folder}: {', '.join(FILES)}; try")
    place = f"./{options.folder}" if options.folder.startswith("-") else options.folder  # `cd -x` would be an option
    print(NEXT.format(folder=shlex.quote(place)))
