"""Runs a program of `benchmarks.program` with JAX alone, on whatever device JAX has.

    python -m benchmarks.run_program omniglot.npz --rounds=5

TensorFlow is not needed: the file holds its program as XLA's text, the inputs and the outputs that
are to come out. JAX has no public function for a finished program; those used here are of jaxlib
0.10.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import jax
import numpy as np

TOLERANCE = 1e-3
"""Largest difference of an output from the stored one, relative to its norm."""


def load(path: str) -> tuple[Callable[[], list[jax.Array]], list[np.ndarray]]:
    """Compiles a file's program for JAX's first device.

    Returns:
      A function that runs it once and returns its outputs; and the outputs to expect.
    """
    from jaxlib import _hlo, _jax, xla_client

    with np.load(path, allow_pickle=False) as held:
        text = held["program"].tobytes().decode()
        arguments, expected = (_numbered(held, kind) for kind in ("argument", "output"))
    module = _hlo.hlo_module_from_text(text)
    stable = _jax.mlir.hlo_to_stablehlo(module.as_serialized_hlo_module_proto())
    device = jax.devices()[0]
    compiled = device.client.compile_and_load(
        stable, _jax.DeviceList((device,)), xla_client.CompileOptions()
    )
    buffers = [jax.device_put(value, device) for value in arguments]

    def run() -> list[jax.Array]:
        results = compiled.execute_sharded(buffers)
        return [arrays[0] for arrays in results.disassemble_into_single_device_arrays()]

    return run, expected


def _numbered(held: np.lib.npyio.NpzFile, kind: str) -> list[np.ndarray]:
    count = sum(name.startswith(f"{kind}_") for name in held.files)
    return [held[f"{kind}_{number}"] for number in range(count)]


def largest_difference(outputs: Sequence[jax.Array], expected: Sequence[np.ndarray]) -> float:
    """Returns the largest relative difference of an output, in norms."""
    return max(
        float(np.linalg.norm(np.asarray(got) - wanted) / (np.linalg.norm(wanted) + 1e-12))
        for got, wanted in zip(outputs, expected, strict=True)
    )


def milliseconds(run: Callable[[], list[jax.Array]], rounds: int) -> list[float]:
    """Returns the milliseconds of a run in each of some rounds of half a second or more."""
    count = 1
    times: list[float] = []
    while len(times) < rounds:
        begin = time.perf_counter()
        for _ in range(count):
            last = run()
        for array in last:
            array.block_until_ready()
        seconds = time.perf_counter() - begin
        if seconds < 0.5 and count < 10_000:
            count *= 2
        else:
            times.append(1e3 * seconds / count)
    return times


def main() -> None:
    """Checks the outputs of a file's program and prints how long a run takes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    begin = time.perf_counter()
    run, expected = load(given.file)
    difference = largest_difference(run(), expected)
    print(f"{jax.devices()[0].device_kind}: first run in {time.perf_counter() - begin:.1f} s")
    print(f"largest relative difference of an output: {difference:.1e}")
    times = milliseconds(run, given.rounds)
    print(f"{statistics.median(times):.2f} ms an iteration ({min(times):.2f} to {max(times):.2f})")
    if difference > TOLERANCE:
        raise SystemExit(f"outputs differ by {difference:.1e}; should be below {TOLERANCE}")


if __name__ == "__main__":
    main()
