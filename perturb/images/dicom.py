"""DICOM files by pydicom: rescaled, and shown in the window that they name."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from pydicom import Dataset, dcmread
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi, pixel_array

from perturb.images.account import SPACING, WINDOW
from perturb.images.decoding import Asked, Decoded, Frame, UnreadableError, check_size

Values = Float[np.ndarray, "..."]


def read_dicom(path: Path, asked: Asked) -> Decoded:
    """The frames of a file in modality units, or in [0, 1] where its own window is asked for and there is one."""
    found = dcmread(path, force=True)
    if "PixelData" not in found:
        raise UnreadableError("of DICOM, without a picture")
    count, samples = int(found.get("NumberOfFrames") or 1), int(found.get("SamplesPerPixel", 1))
    every = asked.all_frames and count > 1
    check_size(found.Rows, found.Columns, samples, count if every else 1)
    if not hasattr(found.file_meta, "TransferSyntaxUID"):
        found.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"  # implicit little endian, the standard's default
    stored = pixel_array(found, index=None if every else 0)
    stack = stored if every else stored[None]
    notes = [SPACING.format(" x ".join(f"{float(n):g}" for n in spacing))] if (spacing := _spacing(found)) else []
    kind = str(found.PhotometricInterpretation)
    if not kind.startswith("MONOCHROME"):
        colour = apply_color_lut(stack[0], found)[None] if kind == "PALETTE COLOR" else stack
        white = 2 ** (8 * colour.dtype.itemsize if kind == "PALETTE COLOR" else int(found.BitsStored)) - 1
        frames = tuple(Frame(values=picture, white=white) for picture in colour)
        return Decoded(frames=frames, left=count - len(frames), notes=tuple(notes))
    values, white = apply_modality_lut(stack, found), 2 ** int(found.BitsStored) - 1
    if values.dtype.kind == "f" and _unscaled(found):
        values = stack
    if asked.window and (shown := _in_window(values, found)) is not None:
        values, white = shown, 1
        notes.append(WINDOW)
    inverted = kind == "MONOCHROME1"
    frames = tuple(
        Frame(values=v[..., None], white=1 if v.dtype.kind == "f" else white, inverted=inverted) for v in values
    )
    return Decoded(frames=frames, left=count - len(frames), notes=tuple(notes))


def _unscaled(found: Dataset) -> bool:
    return float(found.get("RescaleSlope", 1)) == 1 and float(found.get("RescaleIntercept", 0)) == 0


def _in_window(values: Values, found: Dataset) -> Values | None:
    """Values as the file's first table or window shows them, 0 to 1; None where it names neither.

    LINEAR, LINEAR_EXACT and SIGMOID: DICOM PS3.3 (2024), C.11.2.1.2.
    """
    if found.get("VOILUTSequence"):
        return apply_voi(values, found).astype(np.float32) / (2 ** int(found.VOILUTSequence[0].LUTDescriptor[2]) - 1)
    if found.get("WindowCenter") is None or found.get("WindowWidth") is None:
        return None
    centre, width = (float(np.atleast_1d(found[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
    kind = str(found.get("VOILUTFunction") or "LINEAR")
    values = values.astype(np.float64)
    if kind == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (values - centre) / width))
    if kind == "LINEAR":
        centre, width = centre - 0.5, width - 1
    low = centre - width / 2
    return ((values - low) / width).clip(0, 1) if width > 0 else (values > centre).astype(np.float64)


def _spacing(found: Dataset) -> list[float] | None:
    """Between the centres of rows and of columns in mm, at the patient or, failing that, at the detector."""
    return found.get("PixelSpacing") or found.get("ImagerPixelSpacing")
