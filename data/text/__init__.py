"""Plain text: sentences and tokens with offsets, and what a word form shows on its surface."""
