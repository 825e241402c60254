"""The document of a report, as HTML for paper and as Markdown."""

import base64
import hashlib
import re
from importlib.resources import files

from markupsafe import Markup

from perturb.render.environment import fill
from perturb.render.qualification import conditions, detection, origin, procedure, subject
from perturb.render.qualification.document import Document
from perturb.render.qualification.status import reasons, status
from perturb.report import Report
from perturb.visible import plained

SOURCES = (
    "MIL-HDBK-1823A (2009), Nondestructive Evaluation System Reliability Assessment: hit/miss data, POD(a), a50, a90, "
    "a90/95, false calls; its section 4.2 on the definition and control of the system.",
    "ENIQ Recommended Practice 13, Issue 1 (ENIQ Report 65, 2021), Qualification of Non-Destructive Testing Systems "
    "that Make Use of Machine Learning.",
    "ENIQ Recommended Practice 1, Influential/Essential Parameters; ENIQ Recommended Practice 2, Issue 2 (ENIQ Report "
    "39, 2010), Strategy and Recommended Contents for Technical Justifications.",
    "This document follows the contents that these ask for, as far as one run can give them. No body has certified it.",
)


def document(found: Report) -> Document:
    """All sections of a report. Every text in it is plain; see perturb.visible."""
    found = plained(found)
    return Document(
        status=status(found),
        reasons=list(reasons(found)),
        cover=origin.cover(found),
        sections=[
            subject.scope(found),
            subject.thing(found),
            subject.system(found),
            procedure.procedure(found),
            procedure.operating(found),
            detection.detection(found),
            procedure.false_calls(found),
            detection.place(found),
            conditions.essential(found),
            conditions.results(found),
            conditions.limits(found),
            origin.provenance(found),
            origin.signatures(),
        ],
        sources=SOURCES,
        digest=found.digest if re.fullmatch("[0-9a-f]{64}", found.digest) else "",
    )


def html(found: Report) -> str:
    """A page that prints on A4: no script, nothing fetched, its style allowed by its hash."""
    made = document(found)
    style = (files("perturb.render") / "templates" / "qualification.css").read_text(encoding="utf-8")
    style = style.replace("DIGEST", made.digest[:16])
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; style-src 'sha256-{allowed}'"
    return fill("qualification.html.j2", markup=True, d=made, style=Markup(style), policy=policy)


def markdown(found: Report) -> str:
    """The same without its figures."""
    return fill("qualification.md.j2", markup=False, d=document(found))
