"""What a user of the pytest plugin has: a file of networks, suites, no configuration."""

NET = """
import os, time
import torch
from torch import nn
from perturb import Preprocessing
SMALL = Preprocessing(input_shape=(3, 64, 64))
def net(kernel):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 16, kernel, 2, bias=False), nn.ReLU()), SMALL
def dead(): return net(1)
def even(): return net(2)
def crash(): os.abort()
def hang(): time.sleep(600)
def broken(): raise RuntimeError("out of order")
"""
HEAD = """
name = "tiny"
{more}
[images]
source = "dead-leaves"
count = 24
[map]
kind = "structural"
[evaluator]
layer = "0"
"""
CHECK = """
[[check]]
name = "{quantity}"
perturbation = {{ kind = "pixel" }}
level = 0.5
pairs = 2
claim = {{ quantity = "{quantity}", at_most = {at_most} }}
"""
LOSS = CHECK.format(quantity="accuracy-loss", at_most=0.1)
SHAPE = CHECK.format(quantity="dead-share", at_most=0.8)


def suite(*checks: str, more: str = "") -> str:
    """A suite's text; `more` stands before its tables."""
    return HEAD.format(more=more) + "".join(checks)
