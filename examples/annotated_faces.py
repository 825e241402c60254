"""Real faces and a detector as it is shipped, both inside scikit-image: 100 photographs, their boxes, an LBP cascade.

python examples/annotated_faces.py faces/                    # writes 100 pictures and faces.csv; nothing is downloaded
perturb qualify examples/annotated_faces.py:every_pixel --suite examples/annotated_faces.perturb.toml
perturb qualify examples/annotated_faces.py:every_fourth_pixel --suite examples/annotated_faces.perturb.toml
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.data import lbp_frontal_face_cascade_filename, lfw_subset
from skimage.feature import Cascade

from perturb import Preprocessing

FACES = 100  # of the set's first half; the second holds none
VIEW = Preprocessing(input_shape=(3, 72, 72), bounds=(0, 255), layout="HWC", dtype="uint8", arrays="numpy")
Made = tuple[Callable[[np.ndarray], np.ndarray], Preprocessing]


def every_pixel() -> Made:
    """The cascade tries each place."""
    return _detector(step=1), VIEW


def every_fourth_pixel() -> Made:
    """The cascade tries each fourth row and column, which takes a sixteenth of the time."""
    return _detector(step=4), VIEW


def _detector(step: int) -> Callable[[np.ndarray], np.ndarray]:
    cascade = Cascade(lbp_frontal_face_cascade_filename())

    def find(view: np.ndarray) -> np.ndarray:
        """Rows of x1, y1, x2, y2."""
        found = cascade.detect_multi_scale(
            img=np.ascontiguousarray(view[..., 0]),
            scale_factor=1.2,
            step_ratio=step,
            min_size=(20, 20),
            max_size=(50, 50),
            min_neighbor_number=1,
        )
        corners = [(one["c"], one["r"], one["c"] + one["width"], one["r"] + one["height"]) for one in found]
        return np.array(corners, dtype=float).reshape(-1, 4)

    return find


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["file,x,y,width,height,class"]
    for number, face in enumerate(lfw_subset()[:FACES]):
        rows, columns = face.shape
        Image.fromarray((255 * face).round().astype(np.uint8)).save(folder / f"{number:03}.png")
        lines.append(f"{number:03}.png,0,0,{columns},{rows},face")
    (folder / "faces.csv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
