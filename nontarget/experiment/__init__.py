"""One experiment: what it is, and how it is trained, scored and recorded."""

from nontarget.experiment.execution import Training, evaluate, run, train, truth_in_subspaces, weights_path
from nontarget.experiment.specification import Experiment, Settings

__all__ = ["Experiment", "Settings", "Training", "evaluate", "run", "train", "truth_in_subspaces", "weights_path"]
