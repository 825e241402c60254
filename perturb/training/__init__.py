"""How a model comes to do a task: fine-tuned or from scratch by SGD, or a linear head on frozen features."""

from perturb.training.checkpoint import Trained
from perturb.training.head import fresh, with_head
from perturb.training.lessons import Lessons
from perturb.training.linear import linear_head
from perturb.training.recipe import RECIPES, Recipe
from perturb.training.sgd import train

__all__ = ["RECIPES", "Lessons", "Recipe", "Trained", "fresh", "linear_head", "train", "with_head"]
