"""What the machine has and lacks, in the terminal: one line each, with what to do about it."""

from collections.abc import Sequence

from rich.text import Text

from perturb.comparisons import Sign

MARKS = {"broken": ("✗", "bold red"), "act": ("!", "bold yellow"), "works": (" ", ""), "missing": ("-", "dim")}
LEGEND = "✗ keeps perturb from working, ! wants something done, - is not installed and may not be needed"


def signs(found: Sequence[Sign]) -> Text:
    """In the order given."""
    width = max(len(sign.name) for sign in found)
    text = Text()
    for sign in found:
        mark, style = MARKS[sign.state]
        text.append(f"{mark} {sign.name.ljust(width)}  ", style)
        text.append(f"{sign.found}{f': {sign.todo}' if sign.todo else ''}\n")
    return text.append(LEGEND, "dim")
