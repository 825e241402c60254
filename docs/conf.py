"""The site: `uv run --group docs sphinx-build -W --keep-going -b html docs docs/_build`."""

import re
import sys
from pathlib import Path
from posixpath import normpath, relpath
from typing import TYPE_CHECKING

from perturb import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
PAGES = {"README.md": "index.md", "reports/README.md": "results.md", "benchmarks/README.md": "benchmarks.md"}

project = "perturb"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click", "sphinx_gallery.gen_gallery"]
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "gallery_pages",
    "abort_on_example_error": True,
    "capture_repr": (),
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "download_all_examples": False,
    "within_subsection_order": "FileNameSortKey",
}
exclude_patterns = ["_build", "gallery"]
html_theme, html_title, html_show_copyright = "furo", project, False
myst_heading_anchors = 4
default_role = "literal"  # `name` in a docstring
python_maximum_signature_line_length = 88


def on_the_site(text: str, folder: str) -> str:
    """`text` of a file in `folder` of the repository, its links as a page of docs/ has them."""
    return re.sub(r"\]\((?!\w+:|#)([^)#]+)", lambda link: f"]({_target(normpath(f'{folder}/{link[1]}'))}", text)


def _target(path: str) -> str:
    if path in PAGES:
        return PAGES[path]
    there = relpath(path, "docs")
    return f"path:{there}" if there.startswith("..") and path.endswith(".md") else there  # a file, not a page


def _page(app: "Sphinx", name: str, content: list[str]) -> None:
    from reference import filled

    content[0] = filled(on_the_site(content[0], "docs"))


def _included(app: "Sphinx", path: Path, parent: str, content: list[str]) -> None:
    content[0] = on_the_site(content[0], (app.srcdir / path).resolve().parent.relative_to(ROOT).as_posix())


def setup(app: "Sphinx") -> None:
    app.connect("source-read", _page)
    app.connect("include-read", _included)
