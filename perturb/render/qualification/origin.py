"""Provenance and signatures: what it takes to repeat the run, and who answers for it."""

from perturb.render.qualification.document import MISSING, Block, Facts, Lines, Section, Table, Text, recorded
from perturb.render.terminal import describe
from perturb.report import Report

SIGNED = ("prepared by", "checked by", "approved by")


def cover(found: Report) -> Facts:
    """What the document is of."""
    suite = found.suite
    return Facts(
        [
            ("system", describe(found.model)),
            ("suite", f"{suite.name}{f': {suite.description}' if suite.description else ''}"),
            ("measured", found.provenance.timestamp),
            ("verdict of the suite", found.verdict),
            ("digest of the report", found.digest),
        ]
    )


def provenance(found: Report) -> Section:
    """Versions, digests and the command."""
    origin, images = found.provenance, found.images
    version = origin.versions.get("perturb-suite", "")
    rows = [
        ("measured", origin.timestamp),
        ("command", origin.command),
        ("perturb", f"version {recorded(version)}, commit {MISSING}"),
        ("Python", origin.python),
        ("libraries", ", ".join(f"{name} {told}" for name, told in sorted(origin.versions.items()))),
        ("device", origin.device),
        ("machine", origin.machine),
        ("seed", str(origin.seed)),
        ("report.json (SHA-256 of what it says)", found.digest),
        *((f"{name} (SHA-256)", digest) for name, digest in (sorted(found.files.items()) or [("trials and maps", "")])),
        ("suite (SHA-256)", found.suite.digest),
        ("weights (SHA-256)", origin.weights_digest),
        ("pictures judged (SHA-256)", images.judged.digest),
        ("pictures calibrated on (SHA-256)", images.calibration.digest),
    ]
    settings = found.suite.settings
    blocks: list[Block] = [Facts(rows)]
    if settings:
        blocks.append(Table(("key of the suite", "value"), list(settings.items()), "Other keys have their defaults."))
    else:
        blocks.append(Text(f"What the suite's file says: {MISSING}. Its digest is above."))
    return Section("Provenance", blocks)


def signatures() -> Section:
    """Empty lines."""
    return Section("Signatures", [Lines(("role", "name", "date", "signature"), SIGNED)])
