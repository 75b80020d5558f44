"""Tables of the comparison with spaCy's small English model, and the mapping of types."""

from benchmarks.accuracy.tables import Measured, percent, probability
from benchmarks.report.bar import MISSING
from benchmarks.report.writing import markdown

POINTS = 5.0
"""So many points of F1 the bundled model is meant to be ahead."""

PARTS = ("precision", "recall", "f1")


def spacy(measured: Measured) -> str:
    """Precision, recall, F1 of both, and the difference."""
    if measured.spacy is None:
        return f"{MISSING.capitalize()}."
    body = []
    for row in measured.spacy["rows"]:
        line = [row["set"], row["system"]]
        line += [percent(row["scores"]["all"][part]) for part in PARTS]
        line += [percent(row["scores"][label]["f1"]) for label in ("PER", "LOC", "ORG")]
        if "difference" in row:
            points = 100 * row["difference"]
            word = "met" if points >= POINTS else "missed"
            line += [f"{points:+.2f}", probability(row["over_sentences"]), word]
        body.append([*line, *[""] * (11 - len(line))])
    header = ("set", "system", "P", "R", "F1", "PER", "LOC", "ORG", "difference", "p")
    return markdown((*header, f"at least {POINTS:+.0f}"), body)


def mapping(measured: Measured) -> str:
    """What each type of the gold files and of spaCy is taken for."""
    if measured.spacy is None:
        return f"{MISSING.capitalize()}."
    body = []
    for source, types in measured.spacy["settings"]["mapping"].items():
        targets = dict.fromkeys(types.values())
        kept = [
            f"{', '.join(f'`{a}`' for a, b in types.items() if b == target)} → {target}"
            for target in targets
        ]
        body.append((source, "; ".join(kept)))
    return markdown(("types of", "taken as; all others left out"), body)
