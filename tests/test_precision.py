"""Float32 is float32 wherever differences are made, whatever the process allows."""

import numpy as np
import pytest
import torch
from toys import network, plain

from perturb.contribution import Options, energy, quotient_scan
from perturb.incremental.products import Weights
from perturb.precision import full_float32

BACKENDS = torch.backends


def state():
    found = [
        part.fp32_precision
        for part in (BACKENDS.cudnn.conv, BACKENDS.cudnn.rnn, BACKENDS.cuda.matmul, BACKENDS.mkldnn.matmul)
    ]
    return [*found, BACKENDS.cudnn.allow_tf32, torch.get_float32_matmul_precision()]


@pytest.fixture(autouse=True)
def as_it_was():
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("allowed", ["highest", "high", "medium"])
def test_what_the_process_allows_is_put_back(allowed):
    torch.set_float32_matmul_precision(allowed)
    before = state()
    with full_float32(), full_float32():
        assert state() == ["ieee"] * 4 + [False, "highest"]
    with pytest.raises(ZeroDivisionError), full_float32():
        _ = 1 / 0
    assert state() == before


def test_an_allowance_for_products_on_a_gpu_alone_is_put_back():
    BACKENDS.cuda.matmul.allow_tf32 = True
    with full_float32():
        assert not BACKENDS.cuda.matmul.allow_tf32
    assert BACKENDS.cuda.matmul.allow_tf32
    assert torch.get_float32_matmul_precision() == "high"


class Note(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, seen):
        ctx.seen = seen
        seen.append(("forward", state()[0]))
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        ctx.seen.append(("backward", state()[0]))
        return gradient, None


def test_forward_and_backward_passes_and_sweeps_are_in_full_float32(monkeypatch):
    seen = []
    module = plain()
    module.register_forward_hook(lambda module, args, output: Note.apply(output, seen))
    model = network(module)
    pictures = np.random.default_rng(0).random((2, *model.input_shape), dtype=np.float32)
    energy(model, pictures, options=Options(probes=1))
    model.measure(torch.from_numpy(pictures))
    kinds, precisions = zip(*seen, strict=True)
    assert set(kinds) == {"forward", "backward"}
    assert set(precisions) == {"ieee"}

    model, swept, over = network(plain()), [], Weights.over
    monkeypatch.setattr(Weights, "over", lambda *given, **named: (swept.append(state()[0]), over(*given, **named))[1])
    quotient_scan(model, pictures[:1], "output", Options(level=0.1, engine="incremental"))
    assert set(swept) == {"ieee"}
