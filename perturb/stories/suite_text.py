"""A first suite as the text of its file: short, commented, and fit for what the model answers."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from perturb.comparisons import Outlook
from perturb.errors import UsageError
from perturb.stories.answer_kind import AnswerKind
from perturb.visible import plain

CALIBRATED_ON = 24  # photographs, where there are many; otherwise the usual share of them
SHARE = 0.4
PAIRS = 8  # what suites have where they do not say it
COMMENT = 40  # column of comments
FUNCTION_PERIOD = 8  # pixels, of a function whose lattice is not looked for: strides of 2, 4 and 8 repeat in it
LOOKED_FOR = 16  # pixels, the longest period that a run looks for in a function's own reports
CELLS = 8  # periods along a side that leave room for objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found out about a model and its pictures."""

    name: str  # of the suite
    model: Mapping[str, object]  # its table in [models]: reference, weights, remedy, seed
    sensor: Mapping[str, object]  # the table [sensor], empty without a camera
    shape: tuple[int, int, int]  # of the pictures: (channel, row, column)
    answer: AnswerKind
    network: bool  # whether it shows its layers
    period: tuple[int, int] | None  # of rows and columns, where the model tells
    untrained: bool
    pixels: str  # how a picture becomes the input, in words; empty where the model does not say
    source: str
    photographs: int  # that can be used
    pairs: int = PAIRS  # of a dead and a live place on each crop

    @property
    def calibration(self) -> float:
        """The share of photographs that calibrates, to two digits."""
        return float(f"{min(SHARE, CALIBRATED_ON / self.photographs):.2g}")


def suite_text(found: Survey, outlook: Outlook | None = None) -> str:
    """TOML; with an `outlook` its comments say what so many photographs can decide.

    Raises UsageError for answers that no first suite is known for.
    """
    parts = [_head(found, outlook), _images(found)]
    if found.sensor:
        parts.append("[sensor]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in found.sensor.items()))
    return "\n".join([*parts, *_question(found), _models(found)])


def _models(found: Survey) -> str:
    """The model by the suite's name, as pytest reads it."""
    key = found.name if re.fullmatch(r"[A-Za-z0-9_-]+", found.name) else json.dumps(found.name)
    table = ", ".join(f"{key} = {_value(value)}" for key, value in found.model.items())
    named = _value(found.model["reference"]) if len(found.model) == 1 else f"{{ {table} }}"
    head = "[models]".ljust(COMMENT) + f"# what `pytest {found.name}.perturb.toml` asks"
    return f"{head}\n{key} = {named}\n"


def _head(found: Survey, outlook: Outlook | None) -> str:
    told = (*facts(found), *(() if outlook is None else decides(found, outlook)))
    lines = [f"Written by `perturb init` for {found.model['reference']}.", *told, "Every key: docs/suites.md"]
    return "".join(f"# {plain(line)}\n" for line in lines) + f'name = "{found.name}"\n'


def facts(found: Survey) -> tuple[str, ...]:
    """What was found out, in sentences."""
    channels, rows, columns = found.shape
    period = "not told by the model" if found.period is None else "{} x {} pixels".format(*found.period)
    drawn = "Weights: drawn at random; name trained ones, as in torchvision:NAME@DEFAULT or --weights FILE."
    plain = " Name the mean and std if you trained with them (docs/models.md)." if "minus 0," in found.pixels else ""
    return (
        f"Input: {rows} x {columns} pixels, {channels} channel{'s' * (channels > 1)}.",
        *([f"Preprocessing: {found.pixels}.{plain}"] if found.pixels else []),
        f"Answer: {found.answer.words}.",
        f"Period of the lattice, of rows and of columns: {period}.",
        f"Photographs that can be used: {found.photographs}, from {found.source}.",
        *([drawn] if found.untrained else []),
    )


def decides(found: Survey, outlook: Outlook) -> tuple[str, ...]:
    """What is claimed, how many photographs that takes, and whether these do."""
    enough = [f"{one.photographs} photographs for {one.probability:.0%}" for one in outlook.enough if one.photographs]
    passes = f"{outlook.usual[0].passes:.0%} of the runs of a model that loses nothing PASS"
    return (
        f"Claim: {outlook.quantity} is at most {outlook.at_most:g}.",
        f"With {found.photographs} photographs, of which {outlook.judged} are judged, {passes}.",
        f"{'Too few' if too_few(outlook) else 'Enough'}: it takes {' and '.join(enough) or 'more than were tried'}.",
    )


def too_few(outlook: Outlook) -> bool:
    """Whether a model that loses nothing would not PASS as often as it should."""
    return outlook.usual[0].passes < outlook.enough[0].probability


def _images(found: Survey) -> str:
    share = f"calibration = {found.calibration:g}"
    return f"""[images]
source = {_value(found.source)}
{share.ljust(COMMENT)}# the level and the places are found on this share, the others are judged
until_decided = true                    # stop as soon as PASS or FAIL is certain
"""


def _question(found: Survey) -> list[str]:
    """The tables that say what is asked, by what the model offers."""
    kind, answer = found.answer.kind, found.answer
    if found.network and not _alone(answer):
        return [NOTICED.format(more=OBJECTS if kind == "boxes" else "")]
    if kind in ("number", "map", "boxes"):
        pairs = f"pairs = {found.pairs}".ljust(COMMENT) + "# objects that a picture of this size has room for\n"
        keys = {"period": _period(found, looked_for=LOOKED_FOR), "evaluator": _evaluator(answer)}
        return [REPORTED.format(pairs="" if found.pairs == PAIRS else pairs, **keys)]
    if kind == "numbers" and len(answer.size) == 1 and not answer.outputs:
        return [KEPT.format(period=_period(found))]
    raise UsageError(
        f"{found.model['reference']} answers with {answer.words}, and for this no first suite is known: write one, "
        "docs/suites.md says how."
    )


def _evaluator(answer: AnswerKind) -> str:
    """The keys of [evaluator] that read the model's own answer."""
    lines = [f'kind = "{"score" if answer.kind == "number" else answer.kind}"']
    lines += [f"output = {_value(answer.output)}"] if answer.outputs else []
    if answer.channels > 1:
        lines.append(f"target = {answer.rarest}".ljust(COMMENT) + "# the channel that marks a speck: give yours")
    return "\n".join(lines)


def _period(found: Survey, *, looked_for: int | None = None) -> str:
    """The key of a model that does not tell it: as long as there is room for, unless it is `looked_for` in a run."""
    room = min(found.shape[1:]) // CELLS
    if found.period is not None or (looked_for is not None and room >= looked_for):
        return ""
    period = min(FUNCTION_PERIOD, 2 ** (max(room, 2).bit_length() - 1))
    return f"period = {period}".ljust(COMMENT) + "# pixels; the model does not tell it: a larger stride needs more\n"


def _alone(answer: AnswerKind) -> bool:
    """Whether the answer is about one thing alone, so that more of it means "here it is"."""
    return answer.kind == "number" or (answer.kind == "map" and answer.channels == 1)


def _value(value: object) -> str:
    """As TOML, whose strings are those of JSON here. Raises UsageError for a text that no file of text can hold."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str) and not value.isprintable():
        raise UsageError(f"`{value}` has characters that a suite cannot hold: rename it.")
    return json.dumps(value, ensure_ascii=False)


NOTICED = """[evaluator]
kind = "change"                         # has the picture changed, seen from a feature map? No labels, no training
layer = "stride:8"                      # early enough to see one pixel; "last" asks the last feature map
noise = 0.01                            # sensor noise, a fraction of the pixel range
{more}
[[check]]
name = "pixel"
perturbation = {{ kind = "pixel" }}       # or box, blob, scratch, cutout, print: what matters in your pictures
claim = {{ quantity = "accuracy-loss", at_most = 0.1 }}   # detection lost at dead pixels
"""
OBJECTS = """# With annotated pictures the boxes themselves can be asked: docs/annotated.md
"""
REPORTED = """[map]
kind = "response"                       # dead and live places are those where it reports least and most
{period}share = 0.125                           # of all phases, in each arm

[design]
kind = "picture"                        # the picture moves under the model by a few pixels, the speck in it

[evaluator]
{evaluator}

[[check]]
name = "speck"
perturbation = {{ kind = "blob", sigma = 1.0, polarity = "brighter" }}   # or scratch, cutout, print, ...
{pairs}claim = {{ quantity = "accuracy-loss", at_most = 0.1 }}   # detection lost at weak places
"""
KEPT = """[task]
kind = "labels"                         # pictures without labels: the answer to the clean picture is right

[map]
kind = "response"
images = 4                              # of the calibration pictures
{period}
[evaluator]
kind = "label"                          # the class with the highest number

[[check]]
name = "patch"
perturbation = {{ kind = "noise", size = 4 }}             # or box, blob, scratch, ...: what matters in your pictures
level = 0.5                             # a fraction of the pixel range
claim = {{ quantity = "flip-rate", at_most = 0.1 }}       # share of answers that it changes at live places
"""
