"""Picture files as they are: every kind in docs/pictures.md, one rule for a set, copies, folders, and the account."""

import warnings

import numpy as np
import pytest
from picture_kinds import DOCS, KINDS, MARKS, SIDE, table
from PIL import Image

from perturb.images import load_images


def loaded(source, **options):
    """The images, and the one warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        images = load_images(str(source), **options)
    said = [str(each.message) for each in caught]
    assert len(said) == (images.account is not None)
    return images, said[0] if said else ""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_kind_of_file(tmp_path, kind):
    """A file of the kind beside a plain picture: its pixels, or that it is left out, and what the account says."""
    rng = np.random.default_rng(5)
    if kind.channels in (1, 3):
        Image.fromarray(rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)).save(tmp_path / "z.png")
    else:
        np.save(tmp_path / "z.npy", rng.random((SIDE, SIDE, kind.channels)))
    kind.write(tmp_path)
    images, said = loaded(f"folder:{tmp_path}", shape=(kind.channels, SIDE, SIDE), crops=1, reading=kind.reading)
    assert tuple(note.what for note in images.account.notes if images.account) == kind.notes if said else not kind.notes
    if kind.pixels is None:
        assert len(images.names) == 1
        assert images.names[0].startswith("z.")
    else:
        assert images.names[0].startswith("a.")
        assert len(images.names) == 2
        np.testing.assert_allclose(images.pixels[0], kind.pixels, atol=kind.within)
    for note in kind.notes:
        assert note in said


def test_the_table_in_the_docs_is_the_one_that_is_tested():
    """`python tests/picture_kinds.py` writes it."""
    assert len(KINDS) >= 60
    text = DOCS.read_text(encoding="utf-8")
    assert text.partition(MARKS[0])[2].partition(MARKS[1])[0] == table()
