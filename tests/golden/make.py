"""Makes `checkpoint/` and `expected.json`: python -m tests.golden.make

They guard the format: what this version wrote, every later one must read, with the same tags and
scores. Make them anew only together with a new `tagbelt.data.checkpoint.artifact.FORMAT_VERSION`.
"""

import json
from pathlib import Path

from tagbelt.inference import Tagger
from tagbelt.model.checkpoint import save_checkpoint
from tests.model.networks import make_header, make_network, make_vocabulary

GOLDEN = Path(__file__).parent
SENTENCES = [
    ["Anna", "went", "to", "Tokyo", "in", "2024", "."],
    ["北京", "U.S.", "ANNA", "naïve", "O'Neil-Smith", "", ",", "qwertz", "1234", "😀", "Paris"],
    ["house"],
]


def main() -> None:
    network = make_network(17, cell="lstm-coupled", peephole=True, hidden=4)
    save_checkpoint(GOLDEN / "checkpoint", network, make_vocabulary(), make_header(network))
    expected = []
    found = Tagger.load(GOLDEN / "checkpoint", threads=1).annotate_tokens(SENTENCES)
    for sentence, annotation in zip(SENTENCES, found, strict=True):
        scores = [round(entity.score, 6) for entity in annotation.entities]
        expected.append({"tokens": sentence, "tags": annotation.tags, "scores": scores})
    text = json.dumps(expected, ensure_ascii=False, indent=1)
    (GOLDEN / "expected.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
