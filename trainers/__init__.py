"""Learning to learn: the update rule, its learned rates, the outer loop and evaluation.

It serves any Keras model and any distribution over tasks; see `MetaLearner` and `MetaTrainer`.
"""

from trainers.episodes import Episode, TaskFamily
from trainers.errors import DivergedError, InputError
from trainers.evaluation import evaluation, mean_and_ci95
from trainers.learner import MetaLearner
from trainers.meta_trainer import MetaTrainer
from trainers.seeds import fold_in
from trainers.update_rule import adapt

__all__ = [
    "DivergedError",
    "Episode",
    "InputError",
    "MetaLearner",
    "MetaTrainer",
    "TaskFamily",
    "adapt",
    "evaluation",
    "fold_in",
    "mean_and_ci95",
]
