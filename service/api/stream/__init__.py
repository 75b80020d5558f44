"""POST /v1/tag/stream: lines in, lines out, in the memory of a few of them."""
