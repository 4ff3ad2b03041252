"""Runs a program of `benchmarks.program` with JAX alone, on whatever device JAX has.

    python -m benchmarks.run_program omniglot.npz --rounds=5 --peers=jax_vmap,torch_func

TensorFlow is not needed: the file holds its program as XLA's text, the inputs and the outputs that
are to come out. The peers do the same work on the same device, see `benchmarks.program.peers`; what
is not installed is left out. JAX has no public function for a finished program; those used here are
of jaxlib 0.10.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

# JAX would take three quarters of a GPU's memory at once, and PyTorch works on it too.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

try:
    import jax
except ModuleNotFoundError as error:
    raise SystemExit("JAX is not installed here: pip install 'jax>=0.10,<0.11'") from error
import numpy as np

from benchmarks.harness import cases
from benchmarks.program.peers import PEERS, NotOffered

TOLERANCE = 5e-2
"""Largest difference of an output from the stored one, relative to its norm.

A number may be as good as at a ReLU's edge, or two entries of a window as good as equal. Another
rounding takes the other side then, and with it another gradient: with max-pooling that moved one of
Omniglot's 32 tasks by 8 % and the mean by 2 %, where most others were within 4e-6 of float64.
"""

Run = Callable[[], object]


class File(NamedTuple):
    """The contents of a program's file.

    Attributes:
      case: the shape.
      text: the program as XLA's text.
      arguments: θ, α, and the tasks; after these what the program reads beside them.
      outputs: the gradients by θ, then by α.
    """

    case: cases.Case
    text: str
    arguments: list[np.ndarray]
    outputs: list[np.ndarray]


def read(path: str) -> File:
    """Reads a file that `benchmarks.program` wrote."""
    with np.load(path, allow_pickle=False) as held:
        case, text = (held[name].tobytes().decode() for name in ("case", "program"))
        return File(
            cases.Case(**json.loads(case)),
            text,
            *([held[f"{kind}_{n}"] for n in range(_count(held, kind))] for kind in _NUMBERED),
        )


_NUMBERED = ("argument", "output")


def _count(held: Mapping[str, np.ndarray], kind: str) -> int:
    return sum(name.startswith(f"{kind}_") for name in held)


def compiled(file: File) -> tuple[Callable[[], list[jax.Array]], int]:
    """Compiles a file's program for JAX's first device.

    Returns:
      A function that runs it once and returns its outputs; and the bytes that XLA sets aside for
      it, arguments and outputs among them.
    """
    from jaxlib import _hlo, _jax, xla_client

    module = _hlo.hlo_module_from_text(file.text)
    stable = _jax.mlir.hlo_to_stablehlo(module.as_serialized_hlo_module_proto())
    device = jax.devices()[0]
    made = device.client.compile_and_load(
        stable, _jax.DeviceList((device,)), xla_client.CompileOptions()
    )
    buffers = [jax.device_put(value, device) for value in file.arguments]

    def run() -> list[jax.Array]:
        results = made.execute_sharded(buffers)
        outputs = [arrays[0] for arrays in results.disassemble_into_single_device_arrays()]
        return jax.block_until_ready(outputs)

    memory = made.get_compiled_memory_stats()
    parts = ("argument", "output", "temp")
    return run, sum(getattr(memory, f"{part}_size_in_bytes") for part in parts)


def largest_difference(outputs: Sequence[Any], expected: Sequence[np.ndarray]) -> float:
    """Returns the largest relative difference of an output, in norms."""
    return max(
        float(np.linalg.norm(np.asarray(got) - wanted) / (np.linalg.norm(wanted) + 1e-12))
        for got, wanted in zip(outputs, expected, strict=True)
    )


def milliseconds(runs: Mapping[str, Run], rounds: int) -> dict[str, list[float]]:
    """Returns the milliseconds of a run of each system, in interleaved rounds of half a second."""
    counts = {name: max(1, round(0.5 / _seconds(run, 1))) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(1e3 * _seconds(run, counts[name]) / counts[name])
    return times


def _seconds(run: Run, count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        run()
    return time.perf_counter() - begin


def measure(path: str, peers: Sequence[str], rounds: int) -> dict[str, Any]:
    """Checks the outputs of a file's program, and times it beside some peers.

    Returns:
      What was measured, by name; `differences` has the largest of each system's outputs.
    """
    file = read(path)
    begin = time.perf_counter()
    ours, memory = compiled(file)
    runs: dict[str, Run] = {"program": ours}
    differences = {"program": largest_difference(ours(), file.outputs)}
    first = time.perf_counter() - begin
    left_out = {}
    for name in peers:
        try:
            peer = PEERS[name](file.case, file.arguments)
        except NotOffered as reason:
            left_out[name] = str(reason)
            continue
        given = peer()
        if given is not None:
            differences[name] = largest_difference(given, file.outputs)
        runs[name] = peer
    device = jax.devices()[0]
    return {
        "case": file.case.name,
        "device": f"{device.platform}, {device.device_kind}",
        "jax": jax.__version__,
        "first_run_seconds": round(first, 1),
        "megabytes": memory / 1e6,
        "differences": differences,
        "milliseconds": milliseconds(runs, rounds),
        "left_out": left_out,
    }


def main() -> None:
    """Checks the outputs of a file's program and prints how long a run takes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", default="", help=f"of {','.join(PEERS)}")
    parser.add_argument("--json", help="file to write the numbers to")
    given = parser.parse_args()
    peers = [name for name in given.peers.split(",") if name]
    unknown = sorted(set(peers) - set(PEERS))
    if unknown:
        parser.error(f"--peers={given.peers}: should be of {', '.join(PEERS)}")
    found = measure(given.file, peers, given.rounds)
    print(f"{found['case']} on {found['device']}: first run in {found['first_run_seconds']} s")
    for name, times in found["milliseconds"].items():
        apart = found["differences"].get(name)
        told = "" if apart is None else f", outputs differ by {apart:.1e}"
        median = statistics.median(times)
        print(f"{name}: {median:.2f} ms ({min(times):.2f} to {max(times):.2f}){told}")
    for name, reason in found["left_out"].items():
        print(f"{name}: left out, as {reason}")
    if given.json:
        with open(given.json, "w", encoding="utf-8") as out:
            out.write(json.dumps(found, indent=2) + "\n")
    difference = found["differences"]["program"]
    if not difference < TOLERANCE:
        raise SystemExit(f"outputs differ by {difference:.1e}; should be below {TOLERANCE}")


if __name__ == "__main__":
    main()
