"""2D navigation in PyTorch, a Python loop over tasks, in the style of learn2learn.

A task's trajectories are collected together, by NumPy's environment and a policy without gradients.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch.distributions import Normal

from benchmarks.harness import cases
from benchmarks.systems import torch_network


class Rollouts(NamedTuple):
    """The trajectories of a task, float32, steps first: [H, N, ...].

    Attributes:
      states: Positions before each step, [H, N, 2].
      actions: As they were drawn, [H, N, 2].
      rewards: Minus the distance to the goal after each step, [H, N]; 0 after an episode's end.
      mask: 1 until an episode's end and 0 after it, [H, N].
    """

    states: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    mask: np.ndarray


class Examples(NamedTuple):
    """What a policy learns from, float32; n = H N."""

    states: torch.Tensor
    actions: torch.Tensor
    advantages: torch.Tensor


def _means(weights: torch_network.Weights, states: torch.Tensor) -> torch.Tensor:
    x = states
    for w, b in zip(weights[0:4:2], weights[1:4:2], strict=True):
        x = torch.addmm(b, x, w).relu()
    return torch.addmm(weights[5], x, weights[4])


def roll_out(
    case: cases.Case, weights: torch_network.Weights, goal: np.ndarray, rng: np.random.Generator
) -> Rollouts:
    """Collects a task's trajectories.

    Args:
      case: The case.
      weights: The policy's weights, as `torch_network.first_weights` orders them.
      goal: float32 `[2]`.
      rng: The generator that actions are drawn from.
    """
    pairs = (case.horizon, case.shots, 2)
    states, rewards = np.empty(pairs, np.float32), np.empty(pairs[:2], np.float32)
    mask, actions = np.empty_like(rewards), np.empty_like(states)
    noise = rng.standard_normal(pairs, dtype=np.float32)
    position = np.zeros(pairs[1:], np.float32)
    alive = np.ones(case.shots, bool)
    weights = [w.detach() for w in weights]
    noise *= weights[6].exp().numpy()
    with torch.inference_mode():
        for step in range(case.horizon):
            states[step], mask[step] = position, alive
            action = _means(weights, torch.from_numpy(position)).numpy() + noise[step]
            actions[step] = action
            position = position + np.float32(cases.STEP) * np.clip(action, -1.0, 1.0)
            offset = position - goal
            rewards[step] = -np.hypot(offset[:, 0], offset[:, 1])
            alive = alive & ~(np.abs(offset) < cases.REACHED).all(axis=1)
    return Rollouts(states, actions, rewards * mask, mask)


def _discounted_sums(values: np.ndarray, discount: float) -> np.ndarray:
    sums, following = np.empty_like(values), np.zeros(values.shape[1:], values.dtype)
    for step in reversed(range(len(values))):
        following = sums[step] = values[step] + discount * following
    return sums


def advantages(rollouts: Rollouts) -> np.ndarray:
    """Returns a task's advantages by a linear baseline, float64 `[H, N]`, normalised.

    The baseline is fitted to discounted returns on s, s², t, t², t³ and 1. In float64, since powers
    of the time are nearly dependent.
    """
    mask, rewards = rollouts.mask.astype(np.float64), rollouts.rewards.astype(np.float64)
    states = rollouts.states.astype(np.float64)
    time = np.arange(len(mask)) / cases.TIME_UNIT
    powers = np.stack([time, time**2, time**3, np.ones_like(time)], axis=-1)[:, np.newaxis]
    powers = np.broadcast_to(powers, (*mask.shape, 4))
    features = np.concatenate([states, states**2, powers], axis=-1) * mask[..., np.newaxis]
    rows = features.reshape(-1, features.shape[-1])
    returns = _discounted_sums(rewards, cases.DISCOUNT).reshape(-1)
    gram = rows.T @ rows + cases.RIDGE * np.eye(rows.shape[1])
    values = features @ np.linalg.solve(gram, rows.T @ returns)
    following = np.concatenate([values[1:], np.zeros_like(values[:1])])
    surprises = rewards + cases.DISCOUNT * following - values
    estimates = _discounted_sums(surprises, cases.DISCOUNT * cases.TRACE) * mask
    centred = (estimates - estimates.sum() / mask.sum()) * mask
    return centred / (np.sqrt((centred**2).sum() / mask.sum()) + 1e-8)


def examples(rollouts: Rollouts) -> Examples:
    """Returns the steps of a task's trajectories with their advantages."""
    states, actions = (torch.from_numpy(rows.reshape(-1, 2)) for rows in rollouts[:2])
    return Examples(states, actions, torch.from_numpy(advantages(rollouts)).float().reshape(-1))


def loss(weights: torch_network.Weights, learned_from: Examples) -> torch.Tensor:
    """Returns the mean of -A log π(a|s), whose gradient is the policy gradient."""
    means = _means(weights, learned_from.states)
    policy = Normal(means, weights[6].exp(), validate_args=False)
    log_probs = policy.log_prob(learned_from.actions).sum(-1)
    return -(learned_from.advantages * log_probs).mean()


def adapt(
    theta: torch_network.Weights, alpha: torch_network.Weights, support: Examples
) -> list[torch.Tensor]:
    """Makes the inner step of Meta-SGD, through which a gradient reaches theta and alpha."""
    gradients = torch.autograd.grad(loss(theta, support), theta, create_graph=True)
    return [w - a * g for w, a, g in zip(theta, alpha, gradients, strict=True)]


def build(case: cases.Case, seed: int = 0) -> Callable[[int, int], float]:
    """Returns `run(first, count)`, which runs the meta-iterations.

    It returns minus the mean return before the inner step, in the last of them.
    """
    # The rollouts' matrix products are too small to share. On two busy cores an iteration took
    # 0.61 s by one thread, and by two 0.91 s if they wait passively and 4 to 30 s if they spin, as
    # by default.
    torch.set_num_threads(1)
    theta = torch_network.first_weights(case)
    alpha = torch_network.first_alpha(theta)
    optimizer = torch.optim.Adam([*theta, *alpha], lr=cases.OUTER_LEARNING_RATE)
    rng = np.random.default_rng(seed)

    def run(first: int, count: int) -> float:
        # The generator carries on by itself, so an iteration's number does not matter here.
        del first
        for _ in range(count):
            optimizer.zero_grad()
            total = 0.0
            for _ in range(case.tasks):
                goal = rng.uniform(-cases.HALF_SIDE, cases.HALF_SIDE, 2).astype(np.float32)
                before = roll_out(case, theta, goal, rng)
                total += before.rewards.sum()
                fast = adapt(theta, alpha, examples(before))
                after = examples(roll_out(case, fast, goal, rng))
                # Task by task, so that only one graph is in memory.
                (loss(fast, after) / case.tasks).backward()
            optimizer.step()
        return -float(total) / (case.tasks * case.shots)

    return run
