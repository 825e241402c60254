"""A folder of photographs out of Debian packages, for measurements that need more than the built-in ones.

    python benchmarks/photographs.py FOLDER

The packages are fetched with `apt-get download` (a Debian or Ubuntu machine; no root, nothing is installed) and
unpacked beside the photographs, which are made at most 1024 pixels long. `photographs.toml` lists the pictures by
package. They are photographs under free licences (see each package's `copyright` file), chosen by eye before anything
was measured on them: no drawings, no renderings, one picture of a scene. Nothing of this is committed.
"""

import io
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

LONGEST = 1024
"""Pixels: the longer side of the photographs in the largest collection, GCompris'."""

WEBP = b"RIFF"
"""How a WebP file begins."""


def main(folder: Path) -> None:
    """Fetch the packages into FOLDER/packages, and write the photographs into FOLDER/photographs."""
    listed = tomllib.loads((Path(__file__).parent / "photographs.toml").read_text())
    packages, photographs = folder / "packages", folder / "photographs"
    packages.mkdir(parents=True, exist_ok=True)
    photographs.mkdir(exist_ok=True)
    for package, entries in listed.items():
        root = _unpacked(package, packages)
        for name, picture in _pictures(root, entries):
            picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
            picture.convert("RGB").save(photographs / f"{package}-{name}.png")
    print(f"{len(list(photographs.glob('*.png')))} photographs in {photographs}")


def _unpacked(package: str, packages: Path) -> Path:
    """The folder that holds a package's files; the package is fetched if it is not there."""
    root = packages / package
    if not root.is_dir():
        subprocess.run(["apt-get", "download", package], cwd=packages, check=True)
        (archive,) = packages.glob(f"{package}_*.deb")
        subprocess.run(["dpkg-deb", "-x", archive.name, package], cwd=packages, check=True)
    return root


def _pictures(root: Path, entries: dict[str, list[str] | list[int]]) -> Iterator[tuple[str, Image.Image]]:
    """(name, picture) of each entry: a file, or the n-th picture in a Qt resource file."""
    for where, chosen in entries.items():
        path = root / where
        if path.suffix == ".rcc":
            inside = list(_within(path.read_bytes()))
            for number in map(int, chosen):
                yield f"{path.stem}-{number:02d}", Image.open(io.BytesIO(inside[number]))
        else:
            for name in map(str, chosen):
                yield f"{path.name}-{Path(name).parts[0]}", Image.open(path / name)


def _within(resources: bytes) -> Iterator[bytes]:
    """The WebP files in a Qt resource file (.rcc), which stores each file after its length (4 bytes, big-endian)."""
    start = 0
    while (start := resources.find(WEBP, start)) >= 0:
        length = int.from_bytes(resources[start - 4 : start])
        yield resources[start : start + length]
        start += length


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
