"""The commands on navigation: training, what TensorBoard gets of it, evaluation, and bad input."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf import run_flags
from metasgd_tf.evaluation import evaluate_run
from metasgd_tf.train import main as train  # noqa: F401
from metasgd_tf.training import train_run
from tests.metasgd_tf.shell import SMALL, assert_refused, checkpoint_values, command
from trainers.errors import InputError
