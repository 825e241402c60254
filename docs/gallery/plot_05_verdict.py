"""
From a network to a verdict
===========================

A suite asks for detection at dead and at live places of the same pictures. The claim bounds the loss, the difference.
"""

import matplotlib.pyplot as plt
import torch
from torch import nn

import perturb
from perturb.stories.qualify import Context, set_up
from perturb.suite import parse_suite

# %%
# A suite is a TOML file; here it is a string. Is one changed pixel found as often at dead places, within 0.25? The 40
# pictures are drawn, so everybody has them. The network has three odd kernels that move by even strides.

SUITE = """
name = "odd-kernels"
[images]
source = "dead-leaves"
count = 40
[map]
kind = "structural"
[evaluator]
layer = "stride:8"
noise = 0.01
[[check]]
name = "accuracy-loss"
perturbation = { kind = "pixel" }
pairs = 2
claim = { quantity = "accuracy-loss", at_most = 0.25 }
"""

torch.manual_seed(0)
net = nn.Sequential(
    nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
    nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
)  # fmt: skip
model = perturb.Network(net, preprocessing=perturb.Preprocessing(input_shape=(3, 32, 32)), name="odd kernels")
suite = parse_suite(SUITE, "odd-kernels")
bench = set_up(suite, model.input_shape)  # pictures and control networks, the same for both networks
report = perturb.qualify(model, suite, Context(bench=bench))
finding = report.findings[0]
print(f"{report.verdict}: loss {finding.effect.value:+.2f} [{finding.effect.low:+.2f}, {finding.effect.high:+.2f}]")

# %%
# The same with each kernel padded by zeros to a multiple of its stride, and with weights drawn anew.

module, _ = perturb.apply_remedy(model, "padding:fresh")
padded = perturb.qualify(model.with_module(module), suite, Context(bench=bench))
finding = padded.findings[0]
print(f"{padded.verdict}: loss {finding.effect.value:+.2f} [{finding.effect.low:+.2f}, {finding.effect.high:+.2f}]")

# %%
# Detection against the size of the change, and the loss against its claim.

figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
for ax, found, title in zip(axes, (report, padded), ("as built", "padded"), strict=False):
    perturb.DetectionDisplay.from_report(found).plot(ax)
    ax.set_title(title)
perturb.IntervalDisplay((report.findings[0], padded.findings[0])).plot(axes[2])
axes[2].set_yticks([0, 1], ["as built", "padded"])
