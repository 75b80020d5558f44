"""Letters to a shop, made up by us: a small set of the kind that people begin with.

`write_shop(directory)` writes train, dev and test in CoNLL format: PRODUCT and ORDER_ID.
"""

import random
from pathlib import Path

BRANDS = ("Velora", "Nimbus", "Kestrel", "Aurio", "Tamrin", "Oxley", "Pallas", "Brio", "Merano")
KINDS = ("kettle", "desk lamp", "rain jacket", "headphones", "garden chair", "coffee grinder")
KINDS += ("phone case", "backpack", "running shoes", "wool blanket", "toaster", "water bottle")
MODELS = ("Pro", "Mini", "200", "X2", "Classic", "Plus", "S", "Max 3", "Lite", "450")
TEMPLATES = """
I ordered the {P} last week and it has not arrived .
My order {O} never came .
Where is order {O} ?
The {P} from order {O} is broken .
Can I return the {P} ?
Hello , I bought a {P} and a {P} in May .
Order number {O} was charged twice .
Please cancel {O} , I no longer need the {P} .
The box for {O} was empty .
Do you have the {P} in blue ?
I love my new {P} !
Is the {P} still in stock ?
Could you send an invoice for {O} to my office ?
The lid of my {P} is cracked ( order {O} ) .
Thanks for the quick help yesterday .
How long does delivery to the islands take ?
{O} says delivered , but nobody was at home .
Which is better , the {P} or the {P} ?
I got the wrong size , the order is {O} .
The {P} stopped working after two days .
""".strip().splitlines()


def _product(draw: random.Random) -> str:
    parts = [draw.choice(BRANDS), draw.choice(KINDS)]
    if draw.random() < 0.4:
        parts.insert(draw.choice((1, 2)), draw.choice(MODELS))
    return " ".join(parts[draw.random() < 0.2 :])


def _order(draw: random.Random) -> str:
    number = draw.randrange(10_000, 1_000_000)
    return draw.choice((f"{number}", f"#{number}", f"A-{number}", f"SO{number}", f"{number}/25"))


def _rows(draw: random.Random) -> str:
    rows = []
    for word in draw.choice(TEMPLATES).split():
        if word not in ("{P}", "{O}"):
            rows.append(f"{word}\tO\n")
            continue
        name, label = (_product(draw), "PRODUCT") if word == "{P}" else (_order(draw), "ORDER_ID")
        first, *others = name.split()
        rows.append(f"{first}\tB-{label}\n")
        rows += [f"{other}\tI-{label}\n" for other in others]
    return "".join(rows)


def write_shop(directory: Path, *, train: int = 40, seed: int = 1) -> None:
    """Write train, 20 sentences of dev and 100 of test."""
    draw = random.Random(seed)
    for split, count in (("train", train), ("dev", 20), ("test", 100)):
        text = "\n".join(_rows(draw) for _ in range(count))
        (directory / f"{split}.conll").write_text(text, encoding="utf-8")
