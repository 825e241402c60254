"""What is done to picture files while they are read, collected once for the command line and the report."""

from perturb.records import PictureAccount, PictureNote

NAMED = 5  # files of a note that are named

HIDDEN = "hidden or service files and folders skipped"
OTHER = "of a kind that is not read"
LEFT_OUT = "left out, {}"
COPY = "copies of others, dropped"
TWO_CLASSES = "left out, the same picture in two classes"
FRAMES = 'further frames or pages left out ([images] frames = "all" takes them)'
CONSTANT = "of one constant value"
ENLARGED = "smaller than the input, enlarged to it"
TURNED = "turned upright by their EXIF orientation"
COMPOSITED = "with transparency, put on white"
CONVERTED = "in {}, converted to RGB"
FURTHER = "with channels beyond red, green and blue, which were left out"
CLIPPED = "with values beyond `range`, cut to it"
WINDOW = "of DICOM, shown in their own window"
SPACING = "with pixels of {} mm"
NARROW = "holds the largest value of the set, {:g} of {:g}: [images] range = [0, {:g}] makes that white"


class Ledger:
    """Notes in the order in which they first came up."""

    def __init__(self) -> None:
        self._notes: dict[str, list[tuple[str, int]]] = {}

    def note(self, what: str, name: str, count: int = 1) -> None:
        self._notes.setdefault(what, []).append((name, count))

    def close(self, looked_at: int) -> PictureAccount:
        """The account of so many pictures."""
        return PictureAccount(
            looked_at=looked_at,
            notes=tuple(
                PictureNote(
                    what=what,
                    count=sum(count for _, count in told),
                    names=tuple(name for name, _ in told[:NAMED]),
                    files=len(told),
                )
                for what, told in self._notes.items()
            ),
        )
