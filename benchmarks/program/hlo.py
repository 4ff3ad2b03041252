"""Reads a program that XLA has optimised: its kernels, products, bytes and loops.

The text is that of `experimental_get_compiler_ir(...)(stage="optimized_hlo")`. Nothing here imports
a framework.
"""

import dataclasses
import math
import re
from collections.abc import Iterator

BYTES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "f16": 2, "bf16": 2, "s32": 4, "u32": 4}
BYTES |= {"f32": 4, "s64": 8, "u64": 8, "f64": 8}

_INSTRUCTION = re.compile(r"\s*(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*)")
_SHAPE = re.compile(r"(\w+)\[([\d,]*)\]")
_COMPUTATION = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{")
_NO_WORK = ("parameter", "constant", "bitcast", "tuple", "get-tuple-element", "after-all")
_NAMES = ("bitcast", "tuple", "get-tuple-element")
_TRANSFERS = ("infeed", "outfeed", "send", "recv")


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
      name: what others call it.
      kind: its operation, such as `fusion` or `dot`.
      shapes: of its results, a dtype and sizes each.
      operands: the names of what it takes.
      text: all after the operation's name.
    """

    name: str
    kind: str
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    operands: tuple[str, ...]
    text: str

    @property
    def bytes(self) -> int:
        """Bytes of its results."""
        return sum(BYTES.get(kind, 4) * math.prod(sizes) for kind, sizes in self.shapes)


@dataclasses.dataclass(frozen=True)
class Kernel:
    """What a device does for one instruction of the entry computation.

    Attributes:
      kind: the instruction's operation.
      flops: of the products within it.
      bytes: of what it reads and writes.
    """

    kind: str
    flops: int
    bytes: int


class Program:
    """A program as XLA has optimised and scheduled it.

    Attributes:
      computations: the instructions of each, by its name.
      entry: the name of the one that is run.
    """

    def __init__(self, text: str):
        """Parses the text of a module."""
        self.computations: dict[str, dict[str, Instruction]] = {}
        self.entry = ""
        current: dict[str, Instruction] = {}
        for line in text.splitlines():
            begins = _COMPUTATION.match(line)
            if begins:
                current = self.computations[begins[2]] = {}
                if begins[1]:
                    self.entry = begins[2]
                continue
            found = _INSTRUCTION.match(line)
            if found:
                name, shape, kind, rest = found.groups()
                shapes = tuple((k, _sizes(sizes)) for k, sizes in _SHAPE.findall(shape))
                operands = tuple(re.findall(r"%([\w.\-]+)", _arguments(rest)))
                current[name] = Instruction(name, kind, shapes, operands, rest)

    def kernels(self, computation: str | None = None) -> list[Kernel]:
        """Returns what is launched in one run of a computation, in order.

        A loop counts as one kernel, and of a conditional the branch that moves the most bytes.

        Args:
          computation: its name; the entry's if not given.
        """
        computation = computation or self.entry
        held = self.computations[computation]
        made = []
        for one in held.values():
            if one.kind in _NO_WORK:
                continue
            if one.kind == "conditional":
                branches = [self.kernels(name) for name in _called(one)]
                made += max(branches, key=lambda made: sum(kernel.bytes for kernel in made))
                continue
            read = sum(held[name].bytes for name in set(one.operands) if name in held)
            made.append(Kernel(one.kind, self._flops(computation, one), read + one.bytes))
        return made

    def body(self) -> str:
        """Returns the name of the body of the one loop of the entry computation.

        Raises:
          ValueError: if it has none or several.
        """
        (loop,) = [one for one in self.computations[self.entry].values() if one.kind == "while"]
        (body,) = re.findall(r"body=%?([\w.\-]+)", loop.text)
        return body

    def count(self, *kinds: str) -> int:
        """Returns how many instructions of these kinds there are, in all computations."""
        return sum(one.kind in kinds for _, one in self._all())

    @property
    def loops(self) -> int:
        """Loops, over tasks or anything else."""
        return self.count("while")

    @property
    def transfers(self) -> int:
        """Transfers from and to the host within the program."""
        kinds = [f"{kind}{end}" for kind in _TRANSFERS for end in ("", "-done")]
        return self.count(*kinds)

    @property
    def flops(self) -> int:
        """Floating-point operations of all products."""
        return sum(kernel.flops for kernel in self.kernels())

    def peak_bytes(self, computation: str | None = None) -> int:
        """Returns the most that is held at once: arguments, and results until their last use.

        Args:
          computation: whose; the entry's if not given.
        """
        held = self.computations[computation or self.entry]
        last = {name: place for place, one in enumerate(held.values()) for name in one.operands}
        end = len(held)
        # A bitcast is its operand under another shape: what is used of it is used of the operand.
        for one in reversed(held.values()):
            if one.kind in _NAMES:
                for name in one.operands:
                    last[name] = max(last[name], last.get(one.name, end))
        live = peak = 0
        freed: dict[int, int] = {}
        for place, one in enumerate(held.values()):
            size = 0 if one.kind in _NAMES else one.bytes
            until = end if one.kind == "parameter" else last.get(one.name, end)
            live += size
            peak = max(peak, live)
            freed[until] = freed.get(until, 0) + size
            live -= freed.pop(place, 0)
        return peak

    def _all(self) -> Iterator[tuple[str, Instruction]]:
        for name, instructions in self.computations.items():
            for one in instructions.values():
                yield name, one

    def _flops(self, computation: str, one: Instruction) -> int:
        if one.kind == "dot":
            left = self.computations[computation][one.operands[0]].shapes[0][1]
            contracted = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", one.text)
            inner = math.prod(left[i] for i in _sizes(contracted[1])) if contracted else 1
            return 2 * math.prod(one.shapes[0][1]) * inner
        return sum(
            self._flops(name, inner)
            for name in _called(one)
            for inner in self.computations.get(name, {}).values()
        )


def _called(one: Instruction) -> list[str]:
    """Returns the names of the computations that an instruction runs."""
    names = re.findall(
        r"(?:calls|to_apply|body|true_computation|false_computation)=%?([\w.\-]+)", one.text
    )
    for branches in re.findall(r"branch_computations=\{([^}]*)\}", one.text):
        names += re.findall(r"[\w.\-]+", branches)
    return names


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split(",") if size)


def _arguments(rest: str) -> str:
    """Returns what stands within an operation's parentheses."""
    depth = 1
    for place, letter in enumerate(rest):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return rest[:place]
    return rest
