"""Meta-LSTM's cell and its features in NumPy, in float64."""

import numpy as np

FORGET, INPUT = 0, 1


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def preprocessed(numbers):
    """Returns the features of numbers [P], [P, 2], one number after the other."""
    rows = []
    for x in np.ravel(numbers):
        if abs(x) >= np.exp(-10):
            rows.append((np.log(abs(x)) / 10, np.sign(x)))
        else:
            rows.append((-1, np.exp(10) * x))
    return np.array(rows)


def lstm(values, features, hidden, carried):
    """Makes a step of an LSTM with Keras's order of gates: input, forget, carry, output."""
    z = features @ values["kernel"] + hidden @ values["recurrent_kernel"] + values["bias"]
    i, f, c, o = np.split(z, 4, axis=1)
    carried = sigmoid(f) * carried + sigmoid(i) * np.tanh(c)
    return sigmoid(o) * np.tanh(carried), carried


def by_name(cell):
    """Returns the values of a cell's variables by name."""
    return {v.name: v.numpy().astype(np.float64) for v in cell.trainable_variables}


def updated(values, theta, losses, gradients):
    """Returns θ [P] after a step for each of `losses` and `gradients`, which are what they are.

    Args:
      values: of the cell's variables, by name.
      theta: θ_0, [P].
      losses: a number for each step.
      gradients: [P] for each step.
    """
    units = len(values["recurrent_kernel"])
    hidden, carried = np.zeros([2, theta.size, units])
    before = np.zeros([theta.size, 2])
    biases = (values["forget_bias"], values["input_bias"])
    for loss, gradient in zip(losses, gradients, strict=True):
        of_loss = np.repeat(preprocessed(loss), theta.size, axis=0)
        features = np.concatenate([of_loss, preprocessed(gradient)], axis=1)
        hidden, carried = lstm(values, features, hidden, carried)
        gates = np.zeros_like(before)
        for gate in (FORGET, INPUT):
            given = np.concatenate([hidden, theta[:, None], before[:, [gate]]], axis=1)
            gates[:, gate] = given @ values["gate_kernel"][:, gate] + biases[gate]
        theta = sigmoid(gates[:, FORGET]) * theta - sigmoid(gates[:, INPUT]) * gradient
        before = gates
    return theta
