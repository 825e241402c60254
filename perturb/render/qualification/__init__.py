"""A run as the document that a quality department files: one page for paper, or Markdown."""

from perturb.render.qualification.writing import html, markdown

__all__ = ["html", "markdown"]
