"""Algorithm 2's outer objective for a policy of one hidden layer, written out in NumPy.

In float64, so that it can be differentiated by central differences.
"""

import dataclasses
from typing import NamedTuple

import numpy as np


def forward(weights, states):
    w1, b1, w2, b2, log_std = weights
    before = states @ w1 + b1
    return before, np.maximum(before, 0) @ w2 + b2, log_std


def log_prob(weights, states, targets):
    _, means, log_std = forward(weights, states)
    z = (targets[:, :2] - means) / np.exp(log_std)
    return (-0.5 * z**2 - log_std - 0.5 * np.log(2 * np.pi)).sum(1)


def policy_gradients(weights, states, targets, counted):
    """The gradient of −mean(counted A log π), by hand."""
    before, means, log_std = forward(weights, states)
    std = np.exp(log_std)
    z = (targets[:, :2] - means) / std
    factor = -(counted * targets[:, 2] / len(states))[:, np.newaxis]
    by_mean, by_log_std = factor * z / std, factor * (z**2 - 1)
    back = by_mean @ weights[2].T * (before > 0)
    hidden = np.maximum(before, 0)
    slopes = [states.T @ back, back.sum(0), hidden.T @ by_mean, by_mean.sum(0), by_log_std.sum(0)]
    return slopes


class Query(NamedTuple):
    """What was met after the last inner step."""

    states: np.ndarray
    targets: np.ndarray
    counts: np.ndarray
    """Which steps are before the end of an episode."""


@dataclasses.dataclass
class Task:
    """One task: its trajectories, and the weights that sample them before and after each step."""

    support: list
    sampled_by: list
    decay: float = 0.0
    """What the squares of the first layer's kernel are multiplied by in the penalty."""
    query: Query | None = None


def adapted(values, task, surrogate="plain"):
    """θ' for values of θ and α on the trajectories of a task, after all inner steps."""
    weights, rates = values[:5], values[5:]
    for (states, targets), then in zip(task.support, task.sampled_by, strict=False):
        counted = np.ones(len(states))
        if surrogate == "dice":
            ratio = log_prob(weights, states, targets) - log_prob(then, states, targets)
            counted = np.exp(ratio)
        slopes = policy_gradients(weights, states, targets, counted)
        slopes[0] += 2 * task.decay * weights[0]
        weights = [w - a * g for w, a, g in zip(weights, rates, slopes, strict=True)]
    return weights


def penalty(weights, task):
    return task.decay * np.sum(weights[0] ** 2)


def query_surrogate(values, tasks, surrogate="plain"):
    """The mean over tasks of −mean(A log π) on what is met after the last step."""
    found = []
    for task in tasks:
        states, targets, _ = task.query
        weights = adapted(values, task, surrogate)
        loss = -np.mean(targets[:, 2] * log_prob(weights, states, targets))
        found.append(loss + penalty(weights, task))
    return np.mean(found)


def ratio_surrogate(values, tasks):
    """The same with the ratio to the sampling policy, which a trust region lowers."""
    found = []
    for task in tasks:
        states, targets, _ = task.query
        weights = adapted(values, task)
        now = log_prob(weights, states, targets)
        ratio = np.exp(now - log_prob(task.sampled_by[-1], states, targets))
        found.append(-np.mean(targets[:, 2] * ratio) + penalty(weights, task))
    return np.mean(found)


def divergence(values, tasks):
    """The mean over tasks and query states of KL(π that sampled ‖ π)."""
    found = []
    for task in tasks:
        states, _, counts = task.query
        _, m, ls = forward(task.sampled_by[-1], states)
        _, n, lt = forward(adapted(values, task), states)
        kl = lt - ls + (np.exp(2 * ls) + (m - n) ** 2) / (2 * np.exp(2 * lt)) - 0.5
        found.append(kl.sum(1)[counts].mean())
    return np.mean(found)


def central_differences(function, values, width=1e-6):
    flat = np.concatenate([np.ravel(value) for value in values])
    cuts = np.cumsum([np.size(value) for value in values])[:-1]

    def at(moved):
        pieces = np.split(moved, cuts)
        return function([p.reshape(v.shape) for p, v in zip(pieces, values, strict=True)])

    steps = width * np.eye(len(flat))
    return np.array([(at(flat + step) - at(flat - step)) / (2 * width) for step in steps])


def as_row(values):
    return np.concatenate([np.ravel(value) for value in values])
