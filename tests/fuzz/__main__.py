"""Hand damaged files, configurations and commands to the product: `make fuzz MINUTES=10 SEED=1 KIND=images CASE=17`.

Every case must end in a result or in one sentence of the product's own error, within 5 seconds of processor time and
1 GiB of memory, and write nothing outside of its folder.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from ernie_vil2.data.images.decode import opencv
from ernie_vil2.stop import INTERRUPTED
from tests.fuzz.campaign import KEPT, Campaign, Group, keep, replays
from tests.fuzz.example import Example, load
from tests.fuzz.kept import kept
from tests.fuzz.kinds import KINDS, make, prepare, targets
from tests.fuzz.known import known


def memory_folder() -> str | None:
    """A place for small files that costs no disk, where there is one."""
    place = Path("/dev/shm")
    return str(place) if place.is_dir() and shutil.disk_usage(place).free > 1 << 30 else None


def table(campaign: Campaign) -> str:
    """A line for each kind: cases, their outcomes, the slowest and the largest."""
    lines = []
    for kind, tally in campaign.tallies.items():
        rate = tally.cases / tally.wall if tally.wall else 0
        (seconds, slow), (size, large) = tally.slowest, tally.largest
        lines.append(
            f"{kind}: {tally.cases:,} cases, {rate:,.0f}/s a process, {tally.faults:,} faults; slowest {seconds:.2f} s "
            f"(case {slow}), largest {size >> 20:,} MiB (case {large})"
        )
        lines += [f"    {count:8,} {name}" for name, count in tally.outcomes.most_common()]
    return "\n".join(lines)


def described(group: Group, seed: int) -> str:
    """A group of equal faults in three lines."""
    verdict = group.verdict
    detail = verdict.detail.strip().splitlines()[-1][:200] if verdict.detail.strip() else ""
    head = f"{group.kind}: {verdict.fault}, {verdict.kind}, {verdict.frame or verdict.outcome}: {group.count} cases"
    return "\n".join([head, f"    {detail}", *(f"    {line}" for line in replays(group, seed))])


def main(argv: list[str] | None = None) -> int:
    """Run cases, print what they came to; 1 when one was wrong, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="stop after so many (default 10)")
    parser.add_argument("--cases", type=int, metavar="N", help="so many of each kind, however long they take")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", choices=KINDS, help="this one alone; repeatable")
    parser.add_argument("--case", type=int, help="this one alone")
    parser.add_argument("--example", type=Path, metavar="FILE", help="one that was kept, alone")
    parser.add_argument("--kept", action="store_true", help="those of kept.json, which were wrong once")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where examples of faults are kept")
    options = parser.parse_args(argv)
    kinds = options.kind or list(KINDS)
    if options.case is not None and len(kinds) > 1:
        parser.error("--case needs --kind")
    opencv().setNumThreads(0)  # threads would not live on in the processes that are forked
    if options.example or options.kept:
        alone = kept() if options.kept else [load(options.example)]

        def given(kind: str, seed: int, number: int) -> Example:
            return alone[number]

        kinds, handed, first, cases = [KEPT], needed(alone), 0, len(alone)
    else:
        given, handed, first = make, kinds, options.case or 0
        cases = 1 if options.case is not None else options.cases
    prepare(handed)
    scratch = Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory_folder()))
    campaign = Campaign(targets(handed), given, options.seed, scratch, options.workers)
    began, status = time.monotonic(), 0
    try:
        campaign.run(kinds, first, cases, None if cases else 60 * options.minutes)
    except KeyboardInterrupt:
        print("stopped by Ctrl-C; what was done until now:")
        status = INTERRUPTED
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(table(campaign))
    print(f"in {(time.monotonic() - began) / 60:.1f} minutes, seed {options.seed}")
    return told(campaign, options) or status


def needed(examples: list[Example]) -> list[str]:
    """The kinds whose targets some examples are handed to."""
    wanted = {example.target for example in examples}
    return [kind for kind in KINDS if wanted & set(targets([kind]))]


def told(campaign: Campaign, options: argparse.Namespace) -> int:
    """Print the groups of faults and keep their examples; 1 where one is not known."""
    groups = sorted(campaign.groups.values(), key=lambda group: (group.kind, -group.count))
    new = [group for group in groups if not known(group.kind, group.verdict)]
    for group in groups:
        entry = known(group.kind, group.verdict)
        print(f"\n{described(group, options.seed)}" + (f"\n    known: {entry.why}" if entry else ""))
        if options.case is not None or options.example:
            print(group.verdict.detail)
    if not new:
        return 0
    folder = options.keep or Path(tempfile.mkdtemp(prefix="fuzz-faults-"))
    keep(new, folder, options.seed)
    print(f"\n{len(new)} groups of faults; the smallest example of each lies in {folder}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
