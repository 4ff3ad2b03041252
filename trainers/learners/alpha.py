"""The rates α: how they are shared between weights, and whether they are learned.

The kinds:

    | kind         | variables                     | name of the learner       |
    |--------------|-------------------------------|---------------------------|
    | `per_weight` | one shaped like each weight   | Meta-SGD                  |
    | `per_layer`  | one scalar a layer            | a learned rate per layer  |
    | `scalar`     | one scalar                    | one learned rate          |
    | `fixed`      | one scalar that is not learned| MAML                      |
"""

import itertools
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from trainers.errors import InputError

KINDS = ("per_weight", "per_layer", "scalar", "fixed")
INITIAL_RANGE = (0.005, 0.1)


def draw_initial_value(seed: int) -> float:
    """Draws the initial value of all entries of α uniformly from [0.005, 0.1].

    Source: Li et al. 2017, experiments.
    """
    return float(np.random.default_rng(seed).uniform(*INITIAL_RANGE))


class Alpha(tf.Module):
    """α for a list of weights.

    Attributes:
      kind: one of `KINDS`.
      initial_value: the initial value of every entry that has no other.
      initial_values: that of each weight's rate.
      rates: the variables, in the order of the weights that first use them.
    """

    def __init__(
        self,
        kind: str,
        weights: Sequence[keras.Variable],
        initial_value: float,
        *,
        initial_values: Mapping[int, float] | None = None,
        steps: int | None = None,
        model: keras.Model | None = None,
    ):
        """Creates the variables.

        Args:
          kind: one of `KINDS`.
          weights: the model's trainable variables, each with a `path` as Keras gives it; the part
            before the last `/` names the layer.
          initial_value: the initial value of every entry that has no other.
          initial_values: other initial values, by the numbers of the weights that have them.
          steps: how many inner steps have rates of their own, which are then the first dimension
            of every variable; all share theirs if not given.
          model: whose weights they are, so that layers of one path are told apart; without it they
            are where paths repeat.

        Raises:
          InputError: for an unknown kind, or several initial values of one rate.
        """
        super().__init__(name="alpha")
        if kind not in KINDS:
            raise InputError(f"alpha={kind!r}: should be one of {', '.join(KINDS)}")
        self.kind = kind
        self.initial_value = initial_value
        self.rates: list[tf.Variable] = []
        self._index: list[int] = []
        self._layers = _layers([weight.path for weight in weights], _owners(weights, model))
        seen: dict[str, int] = {}
        begin = dict.fromkeys(range(len(weights)), initial_value) | dict(initial_values or {})
        self.initial_values = [begin[number] for number in range(len(weights))]
        for number, weight in enumerate(weights):
            key = self._sharing_key(number, weight.path)
            if key not in seen:
                seen[key] = len(self.rates)
                shape = weight.shape if kind == "per_weight" else ()
                shape = shape if steps is None else (steps, *shape)
                rate = tf.Variable(
                    tf.fill(shape, tf.constant(begin[number], weight.dtype)),
                    trainable=kind != "fixed",
                    # Optimizers of Keras name variables after it, which may have no slash.
                    name=f"alpha/{key}".replace("/", "_"),
                )
                rate.path = f"alpha/{key}"  # As Keras's variables have one.
                self.rates.append(rate)
            elif begin[number] != begin[self._index.index(seen[key])]:
                raise InputError(
                    f"alpha={kind}: {weight.path} shares its rate with weights that start at "
                    f"{begin[self._index.index(seen[key])]}, and should start at {begin[number]}; "
                    "give them one value, or take alpha=per_weight"
                )
            self._index.append(seen[key])

    @property
    def learned(self) -> list[tf.Variable]:
        """The variables that the outer loop updates: all of `rates`, or none for `fixed`."""
        return [] if self.kind == "fixed" else self.rates

    def per_weight(self, rates: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Returns the rate of each weight, given values of `rates`."""
        return [rates[index] for index in self._index]

    def by_layer(self, values: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
        """Groups tensors that belong to the weights by the layers of the weights.

        Args:
          values: one tensor for each weight, such as its rate or its gradient.

        Returns:
          By the layer's name, the entries of all its tensors, flat.
        """
        rows: dict[str, list[tf.Tensor]] = {}
        for layer, value in zip(self._layers, values, strict=True):
            rows.setdefault(layer, []).append(tf.reshape(value, [-1]))
        return {layer: tf.concat(parts, axis=0) for layer, parts in rows.items()}

    def statistics(self) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """Returns what TensorBoard shows of the rates as they are.

        Returns:
          The mean of each layer's rates and the share of them below 0, by names such as
          `alpha_mean/dense`; and the rates of each layer in a row, by names such as `alpha/dense`.
        """
        layers = self.by_layer(self.per_weight([rate.value() for rate in self.rates]))
        scalars: dict[str, float] = {}
        for layer, rates in layers.items():
            scalars[f"alpha_mean/{layer}"] = rates.numpy().mean()
            scalars[f"alpha_negative_share/{layer}"] = (rates.numpy() < 0).mean()
        return scalars, {f"alpha/{layer}": rates.numpy() for layer, rates in layers.items()}

    def _sharing_key(self, number: int, path: str) -> str:
        if self.kind == "per_weight":
            return f"{number}/{path}"
        return self._layers[number] if self.kind == "per_layer" else "all"


def _owners(weights: Sequence[keras.Variable], model: keras.Model | None) -> list[int | None]:
    """Returns a number of each weight that only weights of its layer share within a path."""
    if model is not None:
        owners = {
            id(weight): number
            for number, layer in enumerate(model._flatten_layers())
            for weight in layer._trainable_variables
        }
        return [owners.get(id(weight)) for weight in weights]
    paths = [weight.path for weight in weights]
    return [paths[:number].count(path) for number, path in enumerate(paths)]


def _layers(paths: Sequence[str], owners: Sequence[int | None]) -> list[str]:
    """Returns the layer's name of each weight, without the model's name if all begin with it.

    Blocks that are alike may have layers of the same path, of which some may lack a bias; these are
    numbered from the second on.
    """
    layers = [path.rpartition("/")[0] for path in paths]
    model = layers[0].partition("/")[0] + "/"
    if all(layer.startswith(model) for layer in layers):
        layers = [layer.removeprefix(model) for layer in layers]
    met: dict[str, list[int | None]] = {}
    names: dict[tuple[str, int], str] = {}
    apart = []
    for layer, owner in zip(layers, owners, strict=True):
        of_path = met.setdefault(layer, [])
        if owner not in of_path:
            of_path.append(owner)
        number = of_path.index(owner)
        if number and (layer, number) not in names:
            taken = {*layers, *names.values()}
            further = (f"{layer}_{more}" for more in itertools.count(number))
            names[layer, number] = next(name for name in further if name not in taken)
        apart.append(names.get((layer, number), layer))
    return apart
