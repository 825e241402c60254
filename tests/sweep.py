"""Other people's networks, one after another: each command either works or says in one line why it cannot.

uv run python tests/sweep.py [--family torchvision|timm] [--names NAME...] [--steps STEP...] [--check] [--out table.md]

Weights are random, pictures as small as the network takes. Each network has a process of its own with a limit of time
and memory, so that none ends the sweep. Exit code 1 if one crashed. `--check` compares the target map with
finite differences in float64.
"""

import argparse
import importlib
import json
import multiprocessing
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import perturb
from perturb.contribution import Options, energy, target
from perturb.errors import PerturbError
from perturb.images import load_images
from perturb.model import Network
from perturb.plan import pictures_for
from perturb.stories import rf
from perturb.stories.lint import lint
from perturb.stories.qualify import Bench, Context, qualify
from perturb.suite import parse_suite

FAMILIES = 150  # of timm, evenly drawn
SIDES = (96, 128, 160, 192, 224, 256)  # the first that a network takes
STEPS = ("lint", "map", "rf", "qualify", "check")
LARGEST, MEMORY, SECONDS = 160e6, 7 << 30, 300  # parameters; bytes; of processor time a network
PATIENCE = 10  # times SECONDS by the clock, for one that waits and takes no processor time
# Of the largest value: how near the float32 map lies to float64 differences. Networks with random weights amplify
# rounding, and an activation that lies on the other side of a kink in float32 has another slope: rexnet_100 is off by
# .016 with relu6, by 4e-4 with a smooth function in its place.
CLOSE = 2e-2
SUITE = """
name = "sweep"
[images]
source = "dead-leaves"
count = 6
[map]
kind = "energy"
images = 1
probes = 1
[[check]]
name = "pixel"
perturbation = { kind = "pixel" }
level = 0.5
pairs = 1
claim = { at_most = 0.2 }
"""


def torchvision_names() -> list[str]:
    """Every model for classification, segmentation and detection."""
    from torchvision import models

    kinds = (models, models.segmentation, models.detection)
    return [f"torchvision:{name}" for kind in kinds for name in models.list_models(module=kind)]


def timm_names() -> list[str]:
    """One of each of 150 families, evenly from the sorted list: the first name that is small enough."""
    import timm

    families: dict[str, list[str]] = {}
    for name in sorted(timm.list_models()):
        family = re.match("[a-z]+", name)
        families.setdefault(family[0] if family else name, []).append(name)
    every = list(families.values())
    drawn = np.linspace(0, len(every) - 1, min(FAMILIES, len(every))).round().astype(int)
    return ["timm:" + "|".join(every[i]) for i in drawn]


def bare(name: str) -> dict[str, None]:
    """A torchvision detector or segmenter otherwise downloads its backbone."""
    from torchvision import models

    return {} if name in models.list_models(module=models) else {"weights_backbone": None}


def parameters(reference: str) -> float:
    """Counted without memory; 0 where the network cannot be built so."""
    import timm
    from torchvision import models

    scheme, _, name = reference.partition(":")
    try:
        with torch.device("meta"):
            made = timm.create_model(name) if scheme == "timm" else models.get_model(name, weights=None, **bare(name))
    except Exception:
        return 0
    return sum(p.numel() for p in made.parameters())


def chosen(reference: str) -> str:
    """The first name that is small enough; the first one where none is."""
    scheme, _, names = reference.partition(":")
    return next((n for n in (f"{scheme}:{name}" for name in names.split("|")[:6]) if parameters(n) <= LARGEST), "")


def smallest(reference: str) -> Network:
    """The network for the smallest pictures that it takes."""
    model = perturb.load(reference)
    assert isinstance(model, Network)
    own_size = getattr(model.module, "transform", None) is not None  # a detector resizes what it is given
    for side in () if own_size else SIDES:
        if side >= max(model.input_shape[1:]):
            break
        shown = replace(model.preprocessing, input_shape=(model.input_shape[0], side, side), usual=None)
        try:
            return model.with_preprocessing(shown)
        except PerturbError:
            continue
    return model


def steps(model: Network) -> Iterator[tuple[str, Callable[[], str]]]:
    """What is tried, each giving a few words."""
    pictures = load_images("dead-leaves", shape=model.input_shape, count=2)
    model.settle(pictures.pixels)
    layer = "output" if model.gives_tensor("output") else "last"

    def qualified() -> str:
        suite = parse_suite(SUITE, "sweep")
        bench = Bench(pictures=pictures_for(suite, model.input_shape), controls=())
        return str(qualify(model, suite, Context(bench=bench)).verdict)

    def seen() -> str:
        size = rf.at_layer(model, model.find_layer("last"), alone).theory.size
        return f"{size[0]} x {size[1]}" if size else "whole"

    alone = replace(pictures, pixels=np.asarray(pictures.pixels[:1]))
    yield "lint", lambda: f"period {lint(model, layer)['period']}"
    yield "map", lambda: f"period {energy(model, alone.pixels, model.find_layer(layer), Options(probes=2)).period}"
    yield "rf", seen
    yield "qualify", qualified
    random = np.asarray(load_images("noise", shape=model.input_shape, count=1).pixels)  # equal pixels tie in a max-pool
    yield "check", lambda: checked(model, random, model.find_layer(layer))


def checked(model: Network, pictures: np.ndarray, layer: str) -> str:
    """How far the target map is from central differences in float64 at its five largest pixels."""
    with torch.no_grad():
        numbers = model.propagate(model.normalise(torch.from_numpy(pictures)), layer)
        output = int(numbers.reshape(1, numbers.shape[1], -1).mean(2).argmax())
    found = target(model, pictures, layer, Options(output=output)).values
    places = np.stack(np.unravel_index(np.argsort(found.ravel())[-5:], found.shape), 1)
    model.module.double()
    x, step, moved = torch.from_numpy(pictures).double(), 1e-7, []
    with torch.no_grad():
        for row, column in places:
            ends = []
            for sign in (1, -1):
                there = x.clone()
                there[0, :, row, column] += sign * step
                ends.append(float(model.propagate(model.normalise(there), layer)[0, output].mean()))
            moved.append((ends[0] - ends[1]) / (2 * step * len(x[0])))
    model.module.float()
    wanted, here = np.array(moved), found[tuple(places.T)]
    off = np.abs(here / here.sum() - wanted / wanted.sum()).max() / (here / here.sum()).max()
    assert off < CLOSE, f"the target map is off by {off:.2g} of float64 differences"
    return f"off by {off:.1e}"


def one(reference: str, wanted: Sequence[str], into: str) -> None:
    """In a child process: writes a line for each step as it ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with Path(into).open("a", encoding="utf-8") as file:

        def tell(step: str, outcome: str, words: str) -> None:
            file.write(json.dumps([step, outcome, " ".join(words.split())]) + "\n")
            file.flush()

        def attempt(step: str, call: Callable[[], Any]) -> Any:
            try:
                done = call()
            except PerturbError as error:
                tell(step, "refused", str(error))
            except BaseException as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                tell(step, "crash", f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})")
            else:
                tell(step, "works", done if isinstance(done, str) else "")
                return done

        name = chosen(reference)
        if not name:
            return tell("name", "skipped", f"{reference.split('|')[0]}: above {LARGEST / 1e6:.0f} M parameters")
        tell("name", "works", name)
        if (model := attempt("load", lambda: smallest(name))) is None:
            return None
        tell("size", "works", f"{model.input_shape[1]}")
        for step, call in steps(model):
            if step in wanted:
                attempt(step, call)
        return None


def sweep(reference: str, wanted: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Outcome and words by step. One that is killed crashed at the step that it was at; one out of time did not."""
    with tempfile.NamedTemporaryFile() as told:
        child = multiprocessing.get_context("fork").Process(target=one, args=(reference, wanted, told.name))
        child.start()
        child.join(PATIENCE * SECONDS)
        late = child.is_alive()
        child.kill()
        child.join()
        lines = [json.loads(line) for line in Path(told.name).read_text("utf-8").splitlines()]
    found = {step: (outcome, words) for step, outcome, words in lines}
    if late or child.exitcode == -signal.SIGXCPU:
        found["end"] = ("time", f"more than {SECONDS} s")
    elif child.exitcode:
        found["end"] = ("crash", f"exit code {child.exitcode}")
    return found


def row(reference: str, found: dict[str, tuple[str, str]], seconds: float) -> str:
    """One line of the table."""
    name, side = found.get("name", ("", reference))[1], found.get("size", ("", ""))[1]
    cells = [
        f"{outcome}: {words}" if outcome != "works" else words
        for outcome, words in (found.get(step, ("", "")) for step in STEPS)
    ]
    rest = "; ".join(
        f"{outcome}: {words}"
        for step, (outcome, words) in found.items()
        if step in ("name", "load", "end") and outcome != "works"
    )
    return "| " + " | ".join(c.replace("|", "/") for c in (name, side, *cells, rest, f"{seconds:.0f}")) + " |\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=("torchvision", "timm"), action="append")
    parser.add_argument("--names", nargs="*", help="references, in place of a family's")
    parser.add_argument("--steps", nargs="*", choices=STEPS, default=STEPS[:-1])
    parser.add_argument("--check", action="store_true", help="the step `check` as well")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args(arguments)
    makers = {"torchvision": torchvision_names, "timm": timm_names}
    names = asked.names or [name for family in asked.family or makers for name in makers[family]()]
    if any(name.startswith("timm:") for name in names):
        importlib.import_module("timm")  # once, not in every child
    wanted = [*asked.steps, *(["check"] if asked.check else [])]
    out = asked.out.open("w", encoding="utf-8") if asked.out else sys.stdout
    crashes = 0
    with out:
        out.write(f"| network | side | {' | '.join(STEPS)} | otherwise | s |\n|{'---|' * (4 + len(STEPS))}\n")
        for reference in names:
            began = time.monotonic()
            found = sweep(reference, wanted)
            crashes += any(outcome == "crash" for outcome, _ in found.values())
            out.write(row(reference, found, time.monotonic() - began))
            out.flush()
    return int(crashes > 0)


if __name__ == "__main__":
    sys.exit(main())
