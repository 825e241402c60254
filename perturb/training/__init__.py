"""Training a model for a task: by SGD, fine-tuned or from scratch, or as a linear head on frozen features."""

from perturb.training.checkpoint import Trained
from perturb.training.head import fresh, with_head
from perturb.training.lessons import Lessons
from perturb.training.linear import linear_head
from perturb.training.recipe import RECIPES, Recipe
from perturb.training.sgd import TrainingSetup, train

__all__ = ["RECIPES", "Lessons", "Recipe", "Trained", "TrainingSetup", "fresh", "linear_head", "train", "with_head"]
