"""PyTorch's torch.func: one task as a function, `vmap` over tasks, `grad` inside and outside."""

from collections.abc import Callable

import torch
from torch.func import grad, grad_and_value, vmap

from benchmarks import cases
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
