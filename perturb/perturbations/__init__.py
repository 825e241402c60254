"""Small things put into a picture, in raw pixel space, ahead of normalisation."""

from perturb.kinds import Kinds

KINDS: Kinds = {
    "pixel": "perturb.perturbations.patches:Pixel",
    "box": "perturb.perturbations.patches:Box",
    "noise": "perturb.perturbations.patches:Noise",
    "blob": "perturb.perturbations.shapes:Blob",
    "scratch": "perturb.perturbations.shapes:Scratch",
    "cutout": "perturb.perturbations.cutout:Cutout",
    "print": "perturb.perturbations.print:Print",
    "digit": "perturb.perturbations.digit:Digit",
    "annotated": "perturb.perturbations.annotated:Annotated",
}
