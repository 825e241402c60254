"""The contribution map that a suite asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from perturb import files
from perturb.contribution import KINDS, Options
from perturb.protocols import Progress, Sees, quiet
from perturb.records import Contribution, Images, Lattice, Window
from perturb.suite import MapTable

Pictures = Float[np.ndarray, "image channel row column"]


def estimate(
    model: Sees, table: MapTable, layer: str, images: Images, *, seed: int, progress: Progress = quiet
) -> Contribution:
    """The map of one layer, measured on as many of these images as the table says, evenly chosen."""
    work = Estimating(model=model, table=table, layer=layer, seed=seed, progress=progress)
    return work(chosen(images, table))


def chosen(images: Images, table: MapTable) -> Pictures:
    """The pictures that a map is measured on."""
    count = min(table.images, len(images.pixels))
    return np.asarray(images.pixels[np.linspace(0, len(images.pixels) - 1, count).astype(int)])


@dataclass(frozen=True, slots=True, kw_only=True)
class MapWords:
    """What a measured map is beside its values."""

    kind: str
    layer: str
    period: int
    periods: tuple[int, int] | None
    images: int
    windows: tuple[Window, ...]
    lattice: Lattice | None
    unread: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimating:
    """The map of a layer as work of an executor: see blocks.Lasting."""

    model: Sees
    table: MapTable
    layer: str
    seed: int
    progress: Progress = quiet

    def __call__(self, pixels: Pictures) -> Contribution:
        options = Options(
            probes=self.table.probes,
            level=self.table.level,
            period=self.table.period,
            seed=self.seed,
            tick=self.progress("map", len(pixels)),
        )
        return KINDS[self.table.kind](self.model, pixels, self.layer, options)

    def identity_parts(self) -> Any:
        return self.model, self.table, self.layer, self.seed

    def unwatched(self) -> "Estimating":
        return replace(self, progress=quiet)

    def arrays(self, result: Contribution) -> Mapping[str, np.ndarray]:
        told = MapWords(**{field.name: getattr(result, field.name) for field in fields(MapWords)})
        return {"values": result.values, "words": np.array(files.encode(told))}

    def result(self, pixels: Pictures, arrays: Mapping[str, np.ndarray]) -> Contribution:
        told = files.decode(MapWords, str(arrays["words"]), "map")
        return Contribution(
            values=arrays["values"], **{field.name: getattr(told, field.name) for field in fields(MapWords)}
        )
