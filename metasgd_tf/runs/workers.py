"""The workers that share a training or an evaluation, and what they have to tell each other.

Everything goes through the collectives of TensorFlow's strategy, so all workers must call what
talks to the others in the same order, and each waits there for the last. A worker that has ended,
or that nobody has heard of for ten seconds, makes TensorFlow break these off.
"""

import contextlib
import json
import signal
from collections.abc import Iterator, Mapping

import tensorflow as tf
from absl import flags

from metasgd_tf.output.notes import note, speak_as
from metasgd_tf.runs import clusters
from trainers.errors import InputError, LostWorkerError

BROKEN_OFF = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)
"""What TensorFlow raises where another worker is lost; or any other, with this in its message:"""

BROKEN = "Collective ops is aborted"


def strategy_for(distribution: str, cluster: str) -> tf.distribute.Strategy:
    """Makes the strategy that a command asks for; of several workers, waits for all of them.

    It must be called before TensorFlow runs its first operation. From then on the notes and the
    errors of one of several workers say which one it is.

    Args:
      distribution: `none`; `mirrored`, on all GPUs of this machine, or else its logical CPUs; or
        `multi_worker`.
      cluster: how several workers find each other, see `clusters.resolver`.

    Raises:
      InputError: if the environment says no such cluster, or this worker cannot listen.
    """
    if distribution == "none":
        return tf.distribute.get_strategy()
    if distribution == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    found = clusters.resolver(cluster)
    number, count = clusters.place(found)
    address = found.cluster_spec().task_address(found.task_type, found.task_id)
    speak_as(_name(number, count))
    note(f"listening at {address}; work starts when all {count} are there")
    try:
        # By default NCCL between GPUs, and rings over gRPC between CPUs.
        return tf.distribute.MultiWorkerMirroredStrategy(found)
    except tf.errors.OpError as error:
        if "gRPC server" in error.message:
            raise InputError(
                f"distribution=multi_worker: cannot listen at {address}; another program may have "
                "the port, so end that or name another port"
            ) from error
        raise InputError(
            f"distribution=multi_worker: {address} could not join the others "
            f"({error.message.splitlines()[0]}); start the same command on all {count} workers"
        ) from error


class Workers:
    """The workers that share a command, as one of them sees them; often it is the only one.

    Attributes:
      number: which one this is, from 1.
      count: how many there are.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        """Takes the strategy that they have in common."""
        self._strategy = strategy
        found = strategy.cluster_resolver
        together = found is not None and bool(found.cluster_spec().as_dict())
        self.number, self.count = clusters.place(found) if together else (1, 1)

    @property
    def chief(self) -> bool:
        """Whether this is the one that writes what the command leaves."""
        return self.number == 1

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Waits for all at its end, where what one worker refused is refused by all of them."""
        own: ValueError | flags.Error | None = None
        try:
            yield
        except (InputError, flags.Error) as error:
            own = error
        told = self._gathered("" if own is None else str(own))
        if own is not None:
            raise own
        for number, text in enumerate(told, 1):
            if text:
                raise InputError(f"{_name(number, self.count)} refuses: {text}")

    def refuse_differing(self, found: Mapping[str, object], advice: str) -> None:
        """Checks that all workers found the same.

        Args:
          found: by name, what this one found.
          advice: what to do where they differ.

        Raises:
          InputError: on all workers alike, if they do not; the message says what differs.
        """
        chiefs, *others = map(
            json.loads, self._gathered(json.dumps({name: str(found[name]) for name in found}))
        )
        differing = [
            f"{name} is {other.get(name)} on worker {number} and {chiefs.get(name)} on worker 1"
            for number, other in enumerate(others, 2)
            for name in sorted(chiefs.keys() | other.keys())
            if other.get(name) != chiefs.get(name)
        ]
        if differing:
            raise InputError(f"the workers differ: {', '.join(differing)}; {advice}")

    def first_signal(self, own: signal.Signals | None) -> signal.Signals | None:
        """Returns a signal that any worker has, the same one on all; None where nobody has one."""
        had = [int(text) for text in self._gathered(str(int(own or 0))) if text != "0"]
        return signal.Signals(had[0]) if had else None

    def wait(self) -> None:
        """Waits until all workers are here."""
        self._gathered("")

    @contextlib.contextmanager
    def noticing_losses(self, and_then: str) -> Iterator[None]:
        """Turns what TensorFlow raises where another worker is lost into one sentence.

        Args:
          and_then: what the same command does when it is given again.

        Raises:
          LostWorkerError: it is that.
        """
        try:
            yield
        except tf.errors.OpError as error:
            lost = isinstance(error, BROKEN_OFF) or BROKEN in error.message
            if self.count == 1 or not lost:
                raise
            raise LostWorkerError(
                "another worker has ended or does not answer any more; start the same command on "
                f"all workers to {and_then}"
            ) from error

    def _gathered(self, text: str) -> list[str]:
        """Returns the texts of all workers, which they must ask for together."""
        if self.count == 1:
            return [text]
        # Collectives take no strings, and every device can hold float32.
        letters = tf.constant(list(json.dumps(text).encode() + b"\n"), tf.float32)
        of_replicas = self._strategy.gather(self._strategy.run(lambda: letters), axis=0)
        lines = bytes(map(int, of_replicas.numpy())).decode().splitlines()
        return [json.loads(line) for line in lines[:: len(lines) // self.count]]


def _name(number: int, count: int) -> str:
    return f"worker {number} of {count}"
