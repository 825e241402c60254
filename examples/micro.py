"""A ResNet small enough to be trained on two cores in minutes: the paper's stem, stages and strides on small pictures.

perturb qualify examples/micro.py:resnet --suite paper-presence --recipe short
perturb qualify examples/micro.py:wide_canvas --suite paper-digits --recipe short
"""

from torch import Tensor, nn
from torch.nn import functional as F

from perturb import Preprocessing


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut; with stride 2 all the paper's unbalanced windows but the stem's."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


def resnet() -> tuple[nn.Module, Preprocessing]:
    """Stem and three blocks, 16 and 32 channels, stride 8 in all."""
    module = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        Block(16, 32, 2),
        Block(32, 32, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 2),
    )
    return module, Preprocessing(input_shape=(3, 32, 32), mean=(0.5,), std=(0.25,))


def wide_canvas() -> tuple[nn.Module, Preprocessing]:
    """The same for 64 x 64 pixels, on which a micro digit finds room."""
    module, _ = resnet()
    return module, Preprocessing(input_shape=(3, 64, 64), mean=(0.5,), std=(0.25,))
