"""What a model is asked about a picture, and what is true of it."""

from perturb.kinds import Kinds

KINDS: Kinds = {
    "presence": "perturb.tasks.micro:Presence",
    "intensity": "perturb.tasks.micro:Intensity",
    "digits": "perturb.tasks.micro:Digits",
    "labels": "perturb.tasks.labels:Labels",
}
