"""Runs without a network: the kept one, with outcomes as a test wants them."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from perturb.records import Conditions, Locations, Measurement, Observation, OperatingPoint, Trials
from perturb.runs import Run, decode, read

KEPT = Path(__file__).parent / "kept"


REPORT = decode(read(KEPT / "report-1")).report


def a_report(**changes):
    verdict = changes.pop("verdict", REPORT.verdict)
    return replace(REPORT, verdict=verdict, provenance=replace(REPORT.provenance, **changes))


def a_measurement(dead, live, *, level=0.5, row=0, crops=1):
    """Detection as given (image x pair of 0 and 1), at phases of a 2 x 2 lattice."""
    dead, live = np.asarray(dead, dtype=float), np.asarray(live, dtype=float)
    images, pairs = dead.shape
    photograph = np.arange(images) // crops
    places = np.broadcast_to(2 * np.arange(pairs)[:, None] + [row, 0], (images, pairs, 2))
    clean = np.zeros_like(dead)
    moved = np.full_like(dead, level)
    locations = Locations(dead=np.array([[row, 0]]), live=np.array([[1, 1]]), period=2, balanced=False)
    trials = Trials(dead=places, live=places + 1, photograph=photograph, seed=0, purpose="pixel/judged")
    return Measurement(
        conditions=Conditions(level=level, locations=(locations,)),
        trials=(trials,),
        seen=Observation(
            evidence=np.stack([clean, dead, live, clean], -1)[None, None],
            realised=np.stack([clean, moved, moved, clean], -1)[None, None],
            threshold=np.full((1, images), 0.5),
            measures={},
            levels=(level,),
            photograph=photograph,
            point=OperatingPoint(false_alarms=0.05, clean="absent", chance=0.5),
            truth=np.ones((1, images, pairs), dtype=int),
        ),
    )


def a_run(measured=None, *, repeated=None, own=None, pictures="p", **changes):
    """`changes` go into the provenance of its report, but for its verdict."""
    measured = measured or a_measurement(np.ones((4, 2)), np.ones((4, 2)))
    return Run(
        report=a_report(**changes),
        photographs=tuple(f"photograph {i}" for i in range(measured.seen.photograph.max(initial=-1) + 1)),
        pictures=(pictures,),
        measured={"pixel": measured},
        repeated={"pixel": repeated} if repeated else {},
        own={"pixel": own} if own else {},
        maps={},
    )
