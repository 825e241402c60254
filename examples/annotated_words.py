"""Pages of small print whose words are known: written as pictures with a COCO file, then read like anybody's own.

python examples/annotated_words.py words/                     # 30 pages and labels.json; nothing is downloaded
perturb qualify examples/small_print.py:detector_v4 --suite examples/annotated_words.perturb.toml
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

PAGES, SIDE = 30, 800  # pages, and rows and columns of each
PAPER, GRAIN = 230, 1.5  # grey levels
INK = 150, 200  # grey levels: of the darkest page and of the faintest
SIZES = 7, 12  # of the letters, in pixels
APART = 36, 96  # rows and columns from word to word
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def page(rng: np.random.Generator) -> tuple[Image.Image, list[list[int]]]:
    """A page, and the box [x, y, width, height] of each word's ink."""
    paper = Image.new("L", (SIDE, SIDE), 0)
    boxes = []
    ink = int(rng.integers(*INK))
    for top in range(20, SIDE - 40, APART[0]):
        for left in range(20, SIDE - APART[1], APART[1]):
            word = "".join(rng.choice(list(LETTERS), rng.integers(4, 8)))
            font = ImageFont.load_default(size=int(rng.integers(*SIZES)))
            layer = Image.new("L", (SIDE, SIDE), 0)
            at = left + int(rng.integers(0, 16)), top + int(rng.integers(0, 16))
            ImageDraw.Draw(layer).text(at, word, font=font, fill=255)
            box = layer.point(lambda share: 255 if share > 25 else 0).getbbox()
            boxes.append([box[0], box[1], box[2] - box[0], box[3] - box[1]])
            paper.paste(255, mask=layer)
    share = np.asarray(paper, dtype=float) / 255
    grey = PAPER + (ink - PAPER) * share + rng.normal(0, GRAIN, share.shape)
    return Image.fromarray(grey.round().clip(0, 255).astype(np.uint8)), boxes


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(PAGES):
        picture, boxes = page(rng)
        name = f"page-{number:02}.png"
        picture.save(folder / name)
        images.append({"id": number, "file_name": name, "width": SIDE, "height": SIDE})
        annotations += [{"image_id": number, "category_id": 1, "bbox": box} for box in boxes]
    labels = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "word"}]}
    (folder / "labels.json").write_text(json.dumps(labels))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
