"""The suites and examples that come with perturb: in the wheel, or in the checkout beside the package."""

from importlib.resources import files
from pathlib import Path


def shipped() -> dict[str, Path]:
    """The suites that come with perturb, by name: from the wheel, or from the checkout beside it."""
    inside = Path(str(files("perturb"))) / "_suites"
    folder = inside if inside.is_dir() else Path(str(files("perturb"))).parent / "suites"
    return {path.name.removesuffix(".perturb.toml"): path for path in sorted(folder.glob("*.perturb.toml"))}


def shipped_example(name: str) -> Path:
    """An example that comes with perturb: from the wheel, or from the checkout beside it."""
    package = Path(str(files("perturb")))
    inside = package / "_examples" / name
    return inside if inside.is_file() else package.parent / "examples" / name
