"""How a model's outputs are read: one number for each picture, knowing place, size and truth."""

from perturb.kinds import Kinds

KINDS: Kinds = {
    "change": "perturb.evaluators.change:ChangeDetector",
    "features": "perturb.evaluators.features:Features",
    "score": "perturb.evaluators.score:Score",
    "map": "perturb.evaluators.map:Map",
    "boxes": "perturb.evaluators.boxes:BoxScores",
    "text": "perturb.evaluators.text:Text",
    "label": "perturb.evaluators.label:Label",
}
