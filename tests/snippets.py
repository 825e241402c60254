"""What the pages of README and docs show: their blocks of code, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.M | re.S)
PROMPT = re.compile(r"(?:\$ )?(?:uv run (?:--\w+ [\w-]+ )*)?(?=(?:perturb|python|pytest) )")
END = re.compile(r"\s(?:#|>|>>|&|\||&&|\.\.\.)(?:\s|$).*")  # a comment, or what a shell does with the command


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its page, its number there among those of its language, the language ("": none), its text."""

    page: str
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.number}"


def blocks(*languages: str) -> list[Block]:
    """The blocks of these languages, on all pages."""
    found = []
    for page in PAGES:
        shown = [each for each in FENCE.findall(page.read_text(encoding="utf-8")) if each[0] in languages]
        found += [Block(page.name, number, language, text) for number, (language, text) in enumerate(shown)]
    return found


def commands() -> list[tuple[str, str]]:
    """(page, command) for each line of a block, and each code span, that calls perturb, pytest or a Python file."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [line for _, block in FENCE.findall(text) for line in _lines(block)]
        spans = re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
        found += [(page.name, call) for line in (*lines, *spans) for call in _calls(line)]
    return sorted(set(found))


def _lines(block: str) -> list[str]:
    return re.sub(r"\\\n\s*", "", block).splitlines()


def _calls(line: str) -> Iterator[str]:
    for part in re.split(r" && | \|\| ", line):
        if (prompt := PROMPT.match(part)) and not re.match(r"perturb \w+:", part[prompt.end() :]):
            yield END.sub("", part[prompt.end() :])


def parse(call: str) -> click.Context:
    """The last context of a command of perturb, its words parsed and nothing run. Raises click.UsageError."""
    from perturb.cli import main

    call = call.replace("$SLURM_ARRAY_TASK_ID", "1")
    _, *words = shlex.split(re.sub(r"\[(-[^\]]*)\]", r"\1", call))  # [--option VALUE]: an option that may be left out
    context, command = click.Context(main, info_name="perturb"), main
    while isinstance(command, click.Group) and words:
        name, command, words = command.resolve_command(context, words)
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=name, parent=context)
    return command.make_context(command.name, words, parent=context)
