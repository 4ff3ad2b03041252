"""PyTorch, a Python loop over tasks, in the style of learn2learn and most published code."""

from collections.abc import Callable

import torch

from benchmarks.harness import cases
from benchmarks.systems import torch_navigation, torch_network


def meta_loss(
    case: cases.Case,
    theta: torch_network.Weights,
    alpha: torch_network.Weights,
    episodes: torch_network.Episodes,
) -> torch.Tensor:
    """Returns the mean query loss after one step of Meta-SGD on each task's support set.

    Args:
      case: The case.
      theta: The initialisation, as `torch_network.first_weights` gives it.
      alpha: The learned rates, of theta's shapes.
      episodes: A meta-batch, as `torch_network.episode_source` draws it.

    Returns:
      A float32 scalar whose gradient reaches theta and alpha through the inner gradient.
    """
    loss = torch_network.loss_function(case, torch_network.fused_batch_norm)
    losses = []
    for support_x, support_y, query_x, query_y in zip(*episodes, strict=True):
        inner = loss(theta, support_x, support_y)
        gradients = torch.autograd.grad(inner, theta, create_graph=True)
        fast = [w - a * g for w, a, g in zip(theta, alpha, gradients, strict=True)]
        losses.append(loss(fast, query_x, query_y))
    return torch.stack(losses).mean()


def build(case: cases.Case) -> Callable[[int, int], float]:
    """Returns `run(first, count)`, which runs the meta-iterations and returns the last loss."""
    if case.kind == "reinforcement":
        return torch_navigation.build(case)
    theta = torch_network.first_weights(case)
    alpha = torch_network.first_alpha(theta)
    optimizer = torch.optim.Adam([*theta, *alpha], lr=cases.OUTER_LEARNING_RATE)
    draw = torch_network.episode_source(case)

    def run(first: int, count: int) -> float:
        # The generator carries on by itself, so an iteration's number does not matter here.
        del first
        for _ in range(count):
            optimizer.zero_grad()
            loss = meta_loss(case, theta, alpha, draw())
            loss.backward()
            optimizer.step()
        return loss.item()

    return run
