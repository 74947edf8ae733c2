"""What the processor is fast at: instruction sets as Linux lists them, of Intel and AMD alike.

Source: proc(5); arch/x86/include/asm/cpufeatures.h for the names.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

from ...runtime import cpu_count

BF16 = ("avx512_bf16", "amx_bf16")
INT8 = ("avx512_vnni", "avx_vnni", "amx_int8")
TOLD = (*BF16, *INT8, "avx512f", "avx2")
"""Instruction sets that a message names, those of low precision first"""


@dataclass(frozen=True)
class Processor:
    """Instruction sets that all its cores have (none where the system does not tell), and cores that this process may
    use."""

    sets: frozenset[str]
    cores: int

    @property
    def bf16(self) -> bool:
        """Whether products of bf16 are an instruction of it, and not emulated."""
        return not self.sets.isdisjoint(BF16)

    @property
    def int8(self) -> bool:
        """Whether sums of products of int8 are an instruction of it."""
        return not self.sets.isdisjoint(INT8)

    @property
    def told(self) -> str:
        """What matters here of what it has, as words."""
        found = [name for name in TOLD if name in self.sets]
        return ", ".join(found) or ("none of " + ", ".join(TOLD) if self.sets else "nothing that the system tells of")


def parse_sets(text: str) -> frozenset[str]:
    """Instruction sets that all cores of a /proc/cpuinfo have; none where it lists none, as on ARM."""
    lines = (line.partition(":") for line in text.split("\n"))
    each = {words for name, _, words in lines if name.strip() == "flags"}  # mostly one text, of hundreds of cores
    return frozenset.intersection(*(frozenset(words.split()) for words in each)) if each else frozenset()


@functools.cache
def instruction_sets() -> frozenset[str]:
    """Those of this computer; none on a system without /proc/cpuinfo."""
    try:
        return parse_sets(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace"))
    except OSError:
        return frozenset()


def this_processor() -> Processor:
    """The processor that this process runs on."""
    return Processor(instruction_sets(), cpu_count())
