"""Training a model for a task: by SGD, fine-tuned or from scratch, or as a linear head on frozen features."""

from perturb.training.recipe import RECIPES, Recipe  # without torch: a suite reads the names of the recipes

__all__ = ["RECIPES", "Recipe"]
