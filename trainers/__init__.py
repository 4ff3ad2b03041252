"""Meta-learning: the update rule, its learned rates, the outer loop and evaluation.

It works with any Keras model and distribution over tasks; see `MetaLearner` and `MetaTrainer`.
"""

import keras

from trainers.checkpoints.run_checkpoints import RunCheckpoints
from trainers.episodes import Episode
from trainers.errors import DivergedError, InputError
from trainers.families import Family
from trainers.learners.learner import Learner
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import fold_in, uniform
from trainers.supervised.evaluation import evaluation, mean_and_ci95
from trainers.supervised.gradient_check import check_meta_gradient
from trainers.supervised.meta_trainer import MetaTrainer
from trainers.task_family import TaskFamily
from trainers.update_rule import adapt

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"Keras runs on {keras.backend.backend()}: set KERAS_BACKEND=tensorflow before importing it"
    )

__all__ = [
    "DivergedError",
    "Episode",
    "Family",
    "InputError",
    "Learner",
    "MetaLearner",
    "MetaTrainer",
    "RunCheckpoints",
    "TaskFamily",
    "adapt",
    "check_meta_gradient",
    "evaluation",
    "fold_in",
    "mean_and_ci95",
    "uniform",
]
