"""A checkpoint as files: the directory, its checksums, and the vocabulary that it carries."""
