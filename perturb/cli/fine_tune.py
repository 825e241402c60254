"""What `perturb remedy` makes of one remedy: a fine-tuned network, its weights, its code, an ONNX file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perturb.cli.models import Choice
from perturb.cli.options import as_record
from perturb.cli.outlets import err
from perturb.cli.terminal import progress
from perturb.errors import UsageError

if TYPE_CHECKING:
    from perturb.comparisons import FineTuned
    from perturb.model import Network
    from perturb.records import Remedy

CROPS = 4  # of each photograph


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """What was said of it on the command line."""

    fine_tune: bool
    images: str | None
    steps: int
    rate: float
    margin: float
    save: str | None
    code: str | None
    onnx: str | None

    def check(self, remedies: tuple[str, ...], suite: str | None) -> None:
        """Raises UsageError for what does not go together."""
        from perturb.model import shifts_of

        changes = len(remedies) == 1 and remedies[0] != "all" and shifts_of(remedies[0]) is None
        endings = {"--save": (self.save, ".safetensors"), "--code": (self.code, ".py"), "--onnx": (self.onnx, ".onnx")}
        for option, (path, ending) in endings.items():
            if path is not None and not (changes and path.endswith(ending)):
                raise UsageError(f"{option} {path}: expected one --with NAME (not ask-twice), and a {ending} file.")
        if self.fine_tune and (not changes or self.images is None or self.save is None):
            raise UsageError("--fine-tune takes one --with NAME, --images to learn from, and --save FILE.safetensors.")
        if self.images is not None and not self.fine_tune:
            raise UsageError("--images go with --fine-tune.")
        if self.fine_tune and suite is not None:
            raise UsageError("--fine-tune measures no loss: leave out --suite, and qualify the saved network after it.")

    def make(self, choice: Choice, name: str) -> "FineTuned | None":
        """Do it, and write the files; what was learnt, if anything was."""
        from perturb.remedies import apply_remedy

        if not (self.fine_tune or self.save or self.code or self.onnx):
            return None
        built, _ = replace(choice, remedy=None).load()
        if self.fine_tune:
            network, found = self._tuned(built, name, choice.seed)
            self._write(built, network, found.done, choice)
            return found
        module, done = apply_remedy(built, name, seed=choice.seed)
        self._write(built, built.with_module(module), done, choice)
        return None

    def _tuned(self, built: "Network", name: str, seed: int) -> "tuple[Network, FineTuned]":
        from perturb.images import load_images
        from perturb.stories.fine_tune import fine_tune
        from perturb.training.distil import Tuning

        assert self.images is not None
        assert self.save is not None
        images = load_images(self.images, shape=built.input_shape, crops=CROPS, seed=seed)
        tuning, keep = Tuning(steps=self.steps, rate=self.rate, seed=seed), Path(self.save).parent / "training"
        with progress() as begin:
            return fine_tune(built, name, images, tuning, margin=self.margin, keep=keep, progress=begin)

    def _write(self, built: "Network", network: "Network", done: "Remedy", choice: Choice) -> None:
        from perturb.model import save_weights
        from perturb.model.onnx_written import write_onnx
        from perturb.remedies.written import as_code
        from perturb.writing import write

        if self.save is not None:
            save_weights(network.module, Path(self.save))
            click.echo(f"Saved to {self.save}; load it with --remedy {done.kind} --weights {self.save}", file=err())
        if self.code is not None:
            write(Path(self.code), as_code(built, network.module, done))
            click.echo(f"Its layers are in {self.code}", file=err())
        if self.onnx is not None:
            apart = write_onnx(network, Path(self.onnx))
            agree = f"onnxruntime's answers differ by at most {apart:.1g} of the largest"
            click.echo(f"Exported to {self.onnx}; {agree}", file=err())


making_options = as_record(
    "making",
    Making,
    click.option("--fine-tune", is_flag=True, help="Train the resized kernels; see docs/remedies.md."),
    click.option("--images", help="Pictures to learn from: folder:PATH, or labelled:PATH (a folder a class)."),
    click.option("--steps", default=150, show_default=True, type=click.IntRange(1), help="Steps of the fine-tuning."),
    click.option(
        "--rate", default=5e-4, show_default=True, type=click.FloatRange(0, 1, min_open=True), help="Its learning rate."
    ),
    click.option(
        "--margin",
        default=0.05,
        show_default=True,
        type=click.FloatRange(0, 1),
        help="The largest share of answers that it may cost.",
    ),
    click.option("--save", type=click.Path(dir_okay=False), help="Save the changed weights to this .safetensors file."),
    click.option("--code", type=click.Path(dir_okay=False), help="Write the changed layers as code, to this .py file."),
    click.option("--onnx", type=click.Path(dir_okay=False), help="Export the changed network to this .onnx file."),
)
