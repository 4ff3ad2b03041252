"""A Keras model as a pure function of its weights.

This is `keras.Model.stateless_call` with what meta-learning needs beyond it:

* Dropout masks that differ by seed. The state of a seed generator is a variable like any other, so
  a call that changes no variable would repeat one mask for ever.
* Batch normalisation that uses the statistics of its batch outside training too
  (`trainers.stateless.batch_norm`).
* Second derivatives that TensorFlow leaves out (`trainers.stateless.second_derivatives`).
* Gradients that float16 can hold (`trainers.stateless.gradient_scale`).
* A model whose `call` takes no `training`.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import keras
import tensorflow as tf

from trainers.errors import InputError
from trainers.seeds import fold_in
from trainers.stateless import gradient_scale
from trainers.stateless.batch_norm import Statistics, batch_statistics
from trainers.stateless.layer_classes import normalising
from trainers.stateless.second_derivatives import exact_second_derivatives

Kind = TypeVar("Kind", bound=keras.Layer)


class Output(NamedTuple):
    """The result of one call.

    Attributes:
      outputs: the model's outputs, tensors [N, ...] in the structure that the model gives, with
        their Keras masks; those of half precision are float32, so that losses are.
      penalty: scalar, the sum of the model's own losses (regularisers and `add_loss`).
      state: new values of `PureModel.state`, such as moving averages.
      statistics: what batch normalisation used, of the inputs unless it was given.
    """

    outputs: Any
    penalty: tf.Tensor
    state: list[tf.Tensor]
    statistics: Statistics


class PureModel:
    """Calls a Keras model with weights from outside, changing none of its variables.

    Attributes:
      model: the model.
      weights: its trainable variables; calls take one tensor for each.
      names: what to call the weights.
      state: its other floating variables, such as the moving averages of batch normalisation.
      batch_norms: its batch-normalising layers.
      scale: by what gradients are multiplied within it; None unless a layer computes in float16.
    """

    def __init__(self, model: keras.Model):
        """Wraps a built Keras model, whose trainable variables are those of now.

        Raises:
          InputError: if the model has no variables yet, or nothing to train.
        """
        if not model.built:
            raise InputError(
                f"model={model.name!r} has no weights yet: give it a keras.Input, or call it once "
                "on an example"
            )
        if not model.trainable_variables:
            raise InputError(f"model={model.name!r} has no trainable weights: nothing can adapt")
        self.model = model
        self.weights: list[keras.Variable] = list(model.trainable_variables)
        self.names = [weight.path for weight in self.weights]
        others = model.non_trainable_variables
        self._seeds = [v for v in others if v.name == "seed_generator_state"]
        self.state = [v for v in others if keras.backend.is_float_dtype(v.dtype)]
        carried = {id(variable) for variable in [*self._seeds, *self.state]}
        self._constants = [v for v in others if id(v) not in carried]
        self._assigned: set[int] = set()
        layers = list(model._flatten_layers())
        self.batch_norms = _of_kind(layers, keras.layers.BatchNormalization)
        # Those without weights are frozen or not all the same.
        self._adaptable = [bool(layer.trainable) for layer in self.batch_norms]
        self._spectral_norms = _of_kind(layers, keras.layers.SpectralNormalization)
        self.scale = gradient_scale.scale_for(model)
        self._rematerialised = [layer for layer in layers if layer._remat_mode is not None]

    @property
    def draws(self) -> bool:
        """Whether layers such as dropout draw at random."""
        return bool(self._seeds)

    @property
    def kept(self) -> list[keras.Variable]:
        """Those of `state` that no call has assigned to, such as a frozen layer's."""
        return [variable for variable in self.state if id(variable) not in self._assigned]

    @property
    def has_own_statistics(self) -> bool:
        """Whether a call normalises by statistics of its own batch, as frozen layers do not."""
        return any(layer.trainable for layer in self.batch_norms)

    def __call__(
        self,
        weights: Sequence[tf.Tensor],
        inputs: Any,
        *,
        training: bool,
        seed: tf.Tensor | None = None,
        statistics: Statistics | None = None,
    ) -> Output:
        """Calls the model with `weights`.

        Args:
          weights: one tensor for each of `self.weights`.
          inputs: a tensor [N, ...], or a dict, list or tuple of such tensors, as the model takes.
          training: whether layers such as dropout are active. Batch normalisation uses the
            statistics of `inputs` in either case, as few-shot learners do, unless its layer is
            frozen by `trainable=False`.
          seed: [2], what random layers draw from; needed where they are active.
          statistics: what another call gave, or the beginning of it, for batch normalisation to
            use instead.

        Raises:
          InputError: if layers were frozen or unfrozen since the model was wrapped, or one of them
            assigns to its trainable variables, or to integers other than the states of its seeds.
        """
        self._refuse_other_weights()
        weights, inputs, statistics = gradient_scale.into(
            self.scale, ([tf.convert_to_tensor(weight) for weight in weights], inputs, statistics)
        )
        replaced = list(zip(self.weights, weights, strict=True))
        if training and seed is not None:
            for number, variable in enumerate(self._seeds):
                # A layer counts its draws in the second word, where `fold_in` has the number: by
                # that alone, its second draw would be the first one of the next layer.
                own = fold_in(seed, number, 0)
                replaced.append((variable, tf.cast(own, variable.dtype)))
        with keras.StatelessScope(collect_losses=True) as scope:
            # Given at once they would have to have the variables' shapes, and in training a last
            # layer may have more classes (`trainers.learners.tied_head`).
            for pair in replaced:
                scope.add_update(pair)
            with (
                batch_statistics(self.batch_norms, statistics) as used,
                normalising(self._spectral_norms),
                _kept_in_memory(self._rematerialised),
                exact_second_derivatives(),
            ):
                made = self.model(inputs, training=training)
            outputs = tf.nest.map_structure(_no_half_precision, made)
            kind = tf.nest.flatten(outputs)[0].dtype
            kind = kind if kind.is_floating else tf.float32
            penalty = tf.add_n([tf.zeros((), kind), *(tf.cast(v, kind) for v in self.model.losses)])
        self._refuse_assignments(scope, weights)
        state = [scope.get_current_value(v) for v in self.state]
        pairs = zip(self.state, state, strict=True)
        self._assigned.update(id(v) for v, s in pairs if s is not None)
        state = [v.value if s is None else s for v, s in zip(self.state, state, strict=True)]
        output = Output(*gradient_scale.out_of(self.scale, (outputs, penalty, state, used)))
        _hand_on_masks(made, output.outputs)
        return output

    def _refuse_other_weights(self) -> None:
        # Not by their paths, which layers of two blocks may share.
        now = {id(variable): variable.path for variable in self.model.trainable_variables}
        known = {id(variable): variable.path for variable in self.weights}
        changed = [
            (path, "unfrozen" if number in now else "frozen")
            for number, path in (now | known).items()
            if (number in now) != (number in known)
        ]
        changed.sort()
        changed += [
            (layer.path, "frozen" if before else "unfrozen")
            for layer, before in zip(self.batch_norms, self._adaptable, strict=True)
            if bool(layer.trainable) != before
        ]
        if changed:
            path, kind = changed[0]
            raise InputError(
                f"model={self.model.name!r}: {path} was {kind} after the learner was made; set "
                "trainable before, or make the learner anew"
            )

    def _refuse_assignments(
        self, scope: keras.StatelessScope, weights: Sequence[tf.Tensor]
    ) -> None:
        allowed = {id(layer.kernel) for layer in self._spectral_norms}
        for variable, weight in zip(self.weights, weights, strict=True):
            if scope.get_current_value(variable) is not weight and id(variable) not in allowed:
                raise InputError(
                    f"model={self.model.name!r}: a layer assigns to its trainable weight "
                    f"{variable.path} in its call, which would be forgotten after training; "
                    "compute with the new value and leave the weight as it is"
                )
        for variable in self._constants:
            if scope.get_current_value(variable) is not None:
                # Tasks have no mean of them, and each one would begin anew.
                raise InputError(
                    f"model={self.model.name!r}: a layer assigns to {variable.path} "
                    f"({variable.dtype}) in its call, which would be forgotten; should be a float "
                    "variable, of which the mean over tasks is kept"
                )


def _of_kind(layers: Sequence[keras.Layer], kind: type[Kind]) -> list[Kind]:
    return [layer for layer in layers if isinstance(layer, kind)]


@contextlib.contextmanager
def _kept_in_memory(layers: Sequence[keras.Layer]) -> Iterator[None]:
    """Makes layers from a `keras.RematScope` keep their activations.

    Computed again in the backward pass, they would be computed from the model's own variables, and
    the gradient by weights from outside would be lost.
    """
    modes = [layer._remat_mode for layer in layers]
    for layer in layers:
        layer._remat_mode = None
    try:
        yield
    finally:
        for layer, mode in zip(layers, modes, strict=True):
            layer._remat_mode = mode


def _no_half_precision(output: tf.Tensor) -> tf.Tensor:
    return tf.cast(output, tf.float32) if output.dtype in (tf.bfloat16, tf.float16) else output


def _hand_on_masks(made: Any, outputs: Any) -> None:
    """Gives outputs the masks of what they were made of, which Keras keeps on the tensors."""
    for one, output in zip(tf.nest.flatten(made), tf.nest.flatten(outputs), strict=True):
        mask = getattr(one, "_keras_mask", None)
        if mask is not None:
            output._keras_mask = mask
