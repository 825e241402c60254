"""`uv run --group bench python -m benchmarks [SECTION ...]`: Markdown tables on standard output."""

import sys
from importlib import import_module

import torch

SECTIONS = {
    "bootstrap": "10^4 resamples of 10^4 outcomes, BCa",
    "gradient": "Gradient map of the central unit of layer4, ResNet-18, 8 pictures",
    "engine": "Random places, one picture, the network's output, float32, exact",
    "places": "Cost against the number of places",
    "start": "Waiting times",
    "cost": "What a whole run costs as the suite grows, and what `perturb plan` predicts",
    "decisions": "How often a claim is decided, bets / Student's t",
    "verdicts": "How often a verdict is wrong at its boundary, looked at after each of 200 photographs",
    "levels": "A curve of levels against one level, ResNet-18; how often bounds by level are wrong",
    "controls": "How often the controls fail by themselves",
    "phases": "How often a claim of 0.2 about every phase is decided, PASS / FAIL",
    "whole": "Whole runs of `qualify`, a crop of each built-in photograph, one thread",
    "memory": "Peak memory of `qualify`, and the files of a run of 10^6 trials",
    "response": "Quotient scan against full scan, MobileNetV2 at stride 4, noise pictures",
}

torch.set_num_threads(1)
for name in sys.argv[1:] or SECTIONS:
    sys.stdout.write(f"## {SECTIONS[name]}\n\n")
    for line in import_module(f"benchmarks.{name}").report():
        sys.stdout.write(line)
        sys.stdout.flush()
    sys.stdout.write("\n")
