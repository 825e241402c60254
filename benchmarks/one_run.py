"""One run of `qualify` of the tree that PYTHONPATH names, as a process of its own: REFERENCE SUITE IMAGES [count].

Prints the processor time in seconds. With `count`: the multiply-adds, and the bytes that operations read and wrote.
"""

import json
import sys
import time
import warnings
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import perturb

PRODUCTS = {  # the factors that each value of the output sums, from the arguments
    "conv2d": lambda x, weight, *rest: weight[0].numel(),
    "convolution": lambda x, weight, *rest: weight[0].numel(),
    "_convolution_pointwise": lambda x, weight, *rest: weight[0].numel(),
    "matmul": lambda a, b, *rest: a.shape[-1],
    "mm": lambda a, b, *rest: a.shape[-1],
    "bmm": lambda a, b, *rest: a.shape[-1],
    "linear": lambda x, weight, *rest: x.shape[-1],
    "_linear_pointwise": lambda x, weight, *rest: x.shape[-1],
    "addmm": lambda bias, a, b, *rest: a.shape[-1],
}


class Counting(TorchDispatchMode):
    """Multiply-adds of convolutions and matrix products, forward and backward; bytes of all operations but views."""

    multiply_adds = 0
    bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in PRODUCTS:
            self.multiply_adds += out.numel() * PRODUCTS[name](*args)
        elif name == "convolution_backward":
            self.multiply_adds += sum(part is not None for part in out[:2]) * args[0].numel() * args[2][0].numel()
        if not func.is_view:
            touched = tree_leaves((args, kwargs, out))
            self.bytes += sum(each.numel() * each.element_size() for each in touched if isinstance(each, torch.Tensor))
        return out


def main(reference: str, suite_name: str, images: str, count: str = "") -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    suite = perturb.load_suite(suite_name)
    # What is imported at first use is not timed.
    model, qualify = perturb.load(reference), perturb.qualify
    suite = suite.model_copy(update={"images": suite.images.model_copy(update=json.loads(images))})
    if count:
        with Counting() as counted:
            qualify(model, suite)
        sys.stdout.write(f"{counted.multiply_adds} {counted.bytes}\n")
        return
    begun = time.process_time()
    qualify(model, suite)
    sys.stdout.write(f"{time.process_time() - begun}\n")


main(*sys.argv[1:])
