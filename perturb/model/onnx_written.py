"""A network as an ONNX file, and beside it how pictures become its input."""

import io
import warnings
from pathlib import Path

import torch
from torch import Tensor

from perturb.errors import InputError, UsageError, first_line
from perturb.model.network import Network
from perturb.model.reference import load
from perturb.writing import write_together

AGREE = 1e-4  # largest difference of an output, of the largest number in it
GIVEN = ("bounds", "mean", "std")  # of the preprocessing


def write_onnx(network: Network, path: Path) -> float:
    """Write FILE.onnx and FILE.toml, which `onnx:FILE.onnx` reads; the largest difference of an output, of the largest.

    The graph takes any number of normalised pictures (picture, channel, row, column) in float32. The file beside it
    says how they are normalised. Raises UsageError for a network that gives more than one tensor or has steps ahead of
    it, and InputError where it cannot be exported, or where onnxruntime's answers to two pictures differ from the
    network's by more than AGREE.
    """
    if not network.gives_tensor("output") or network.sensor is not None:
        raise UsageError("--onnx is for networks that give one tensor, without --sensor.")
    pictures = torch.rand(2, *network.input_shape, generator=torch.Generator().manual_seed(0))
    told = network.preprocessing
    words = "".join(f"{name} = {[float(n) for n in getattr(told, name)]}\n" for name in GIVEN)
    graph = _exported(network, network.normalise(pictures))
    write_together(path.parent, {path.name: graph, path.with_suffix(".toml").name: words.encode()})
    wanted, found = network.measure(pictures), load(f"onnx:{path}", device="cpu").measure(pictures)
    assert isinstance(wanted, Tensor)
    assert isinstance(found, Tensor)
    apart = float((found.cpu() - wanted.cpu()).abs().max() / wanted.abs().max())
    if apart > AGREE:
        raise InputError(f"`{path}`: onnxruntime's answers differ from the network's by {apart:.1g} of the largest.")
    return apart


def _exported(network: Network, x: Tensor) -> bytes:
    """By torch's exporter that runs the network once. The newer one takes a further package, onnxscript."""
    file = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is the older one, and what it takes for constant
            torch.onnx.export(
                network.module,
                (x,),
                file,  # type: ignore[arg-type]  # the older exporter takes one
                input_names=["pictures"],
                output_names=["answers"],
                dynamic_axes={"pictures": {0: "picture"}, "answers": {0: "picture"}},
                dynamo=False,
            )
    except ImportError as error:
        raise InputError("onnx is not installed: `pip install 'perturb-suite[onnx]'`.") from error
    except Exception as error:  # an operation that ONNX lacks, in torch's many ways of saying so
        raise InputError(f"{network.name} cannot be exported to ONNX: {first_line(error)}") from error
    return file.getvalue()
