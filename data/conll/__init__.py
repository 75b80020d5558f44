"""CoNLL files: tag schemes, rows, reading, writing and splitting."""
