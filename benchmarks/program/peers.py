"""The work of `benchmarks.program` in other systems: the meta-gradient on given tasks.

Each is a function from a case and the arguments of its program (θ, α, support inputs and targets,
query inputs and targets) to a function that does it once. What it returns is compared with the
program's outputs.
"""

import importlib.util
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from benchmarks.harness import cases
from benchmarks.systems import resnet12

Peer: TypeAlias = Callable[[], Sequence[np.ndarray] | None]


class NotOffered(Exception):
    """A system cannot do a case here; the message says why."""


def jax_vmap(case: cases.Case, arguments: Sequence[np.ndarray]) -> Peer:
    """Returns JAX's own program: one task as a function, `vmap` over tasks, all in one `jit`."""
    theta, alpha, tasks = _parts(case, arguments)
    import jax

    from benchmarks.systems.jax import task_loss

    def mean_loss(theta, alpha, tasks):
        def one(support_x, support_y, query_x, query_y):
            def loss(weights, x, y):
                return task_loss(case, weights, x, y)

            gradients = jax.grad(loss)(theta, support_x, support_y)
            fast = [w - a * g for w, a, g in zip(theta, alpha, gradients, strict=True)]
            return loss(fast, query_x, query_y)

        return jax.vmap(one)(*tasks).mean()

    gradient = jax.jit(jax.grad(mean_loss, argnums=(0, 1)))
    given = jax.device_put((theta, alpha, tasks))

    def run():
        by_theta, by_alpha = jax.block_until_ready(gradient(*given))
        return [*by_theta, *by_alpha]

    return run


def torch_func(case: cases.Case, arguments: Sequence[np.ndarray]) -> Peer:
    """Returns torch.func's, which pads as PyTorch does: its outputs are others, not compared."""
    theta, alpha, tasks = _parts(case, arguments)
    if importlib.util.find_spec("torch") is None:
        raise NotOffered("PyTorch is not installed here (benchmarks/requirements.txt)")
    import torch

    from benchmarks.systems.torch_func import meta_gradient

    device = "cuda" if torch.cuda.is_available() else "cpu"

    def held(array: np.ndarray, *order: int) -> torch.Tensor:
        tensor = torch.from_numpy(np.array(array))
        return (tensor.permute(*order) if order else tensor).contiguous().to(device)

    def weights(arrays: Sequence[np.ndarray]) -> list[torch.Tensor]:
        return [held(array, *((3, 2, 0, 1) if array.ndim == 4 else ())) for array in arrays]

    support_x, support_y, query_x, query_y = tasks
    episodes = (
        held(support_x, 0, 1, 4, 2, 3),
        held(support_y).long(),
        held(query_x, 0, 1, 4, 2, 3),
        held(query_y).long(),
    )
    gradient, values = meta_gradient(case), (weights(theta), weights(alpha))

    def run() -> None:
        gradient(*values, episodes)
        if device == "cuda":
            torch.cuda.synchronize()

    return run


def _parts(
    case: cases.Case, arguments: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Returns θ, α and the four parts of the tasks."""
    resnet = case.name == "resnet12"
    count = resnet12.WEIGHTS if resnet else len(cases.initial_weights(case))
    ends = (count, 2 * count, 2 * count + 4)
    return tuple(list(arguments[a:b]) for a, b in zip((0, *ends), ends, strict=False))  # type: ignore[return-value]


PEERS: dict[str, Callable[[cases.Case, Sequence[np.ndarray]], Peer]] = {
    "jax_vmap": jax_vmap,
    "torch_func": torch_func,
}
"""The peers by name."""
