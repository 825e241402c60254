"""A first suite in the terminal: what was found, and what it can decide."""

from rich.text import Text

from perturb.comparisons import FirstSuite


def written(path: str, found: FirstSuite) -> Text:
    """The file and the sentences in it; in colour where the photographs are too few."""
    text = Text.assemble((path, "bold"), " is written. What was found:\n")
    for line in found.facts:
        text.append(f"  {line}\n")
    text.append("\n")
    for line in found.decides:
        text.append(f"  {line}\n", "yellow" if found.too_few else "")
    return text
