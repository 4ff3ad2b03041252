"""PyTorch's torch.func: one task as a function, `vmap` over tasks, `grad` inside and outside."""

from collections.abc import Callable

import numpy as np
import torch
from torch.func import grad, grad_and_value, vmap

from benchmarks.harness import cases
from benchmarks.systems import torch_network


def meta_gradient(
    case: cases.Case,
) -> Callable[..., tuple[tuple[list[torch.Tensor], list[torch.Tensor]], torch.Tensor]]:
    """Returns `(theta, alpha, episodes) -> ((theta's, alpha's gradients), loss)`.

    Arguments are those of `torch_loop.meta_loss`; the loss is the mean over the tasks.
    """
    # The fused batch normalisation is wrong here: under vmap (PyTorch 2.13) theta's gradient came
    # out 0.1 to 1 % off, where the plain one agrees with torch_loop and JAX; it costs no more time.
    loss = torch_network.loss_function(case, torch_network.plain_batch_norm)

    def task_loss(theta, alpha, support_x, support_y, query_x, query_y):
        gradients = grad(loss)(theta, support_x, support_y)
        fast = [w - a * g for w, a, g in zip(theta, alpha, gradients, strict=True)]
        return loss(fast, query_x, query_y)

    def mean_loss(theta, alpha, episodes):
        return vmap(task_loss, in_dims=(None, None, 0, 0, 0, 0))(theta, alpha, *episodes).mean()

    return grad_and_value(mean_loss, argnums=(0, 1))


def answering(
    case: cases.Case, inputs: np.ndarray, targets: np.ndarray, queries: np.ndarray
) -> Callable[[], np.ndarray]:
    """Prepares answering a request: adaptation of the initial weights to its tasks, and prediction.

    Args:
      case: A classification case.
      inputs: Support inputs, [tasks, examples, size, size, channels].
      targets: Support targets, [tasks, examples].
      queries: Query inputs, [tasks, queries, size, size, channels].

    Returns:
      A function that returns the probabilities [tasks, queries, ways].
    """
    theta = [w.detach() for w in torch_network.first_weights(case)]
    alpha = [a.detach() for a in torch_network.first_alpha(theta)]
    norm = torch_network.plain_batch_norm
    loss = torch_network.loss_function(case, norm)

    def task(support_x: torch.Tensor, support_y: torch.Tensor, query_x: torch.Tensor):
        gradients = grad(loss)(theta, support_x, support_y)
        fast = [w - a * g for w, a, g in zip(theta, alpha, gradients, strict=True)]
        return torch_network.predict_class(fast, query_x, case.pooling, norm).softmax(-1)

    def channels_first(images: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(images).permute(0, 1, 4, 2, 3).contiguous()

    # One task is faster without a vmap over it.
    tasks = vmap(task) if len(inputs) > 1 else lambda *t: task(*(x[0] for x in t))[None]

    def answer() -> np.ndarray:
        with torch.no_grad():
            labels = torch.from_numpy(targets).long()
            return tasks(channels_first(inputs), labels, channels_first(queries)).numpy()

    return answer


def build(case: cases.Case) -> Callable[[int, int], float]:
    """Returns `run(first, count)`, which runs the meta-iterations and returns the last loss."""
    theta = [w.detach() for w in torch_network.first_weights(case)]
    alpha = [a.detach() for a in torch_network.first_alpha(theta)]
    optimizer = torch.optim.Adam([*theta, *alpha], lr=cases.OUTER_LEARNING_RATE, fused=True)
    gradient = meta_gradient(case)
    draw = torch_network.episode_source(case)

    def run(first: int, count: int) -> float:
        # The generator carries on by itself, so an iteration's number does not matter here.
        del first
        for _ in range(count):
            (theta_grads, alpha_grads), loss = gradient(theta, alpha, draw())
            for w, g in zip([*theta, *alpha], [*theta_grads, *alpha_grads], strict=True):
                w.grad = g
            optimizer.step()
        return loss.item()

    return run
