"""Makes `openapi.json`, what clients were promised: python -m tests.golden.openapi

Make it anew with a change of the document that is meant; the test says whether it breaks clients.
"""

import json
from pathlib import Path
from typing import Any

from tests.service.fake import fake_app

GOLDEN = Path(__file__).parent / "openapi.json"


KEY = f"all:tag+admin:{'0' * 64}"


def published() -> Any:
    """The document as clients get it, of a server that has keys."""
    return json.loads(json.dumps(fake_app(api_keys=KEY).openapi()))


def main() -> None:
    text = json.dumps(published(), ensure_ascii=False, indent=1, sort_keys=True)
    GOLDEN.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
