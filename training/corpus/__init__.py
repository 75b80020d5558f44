"""The sentences of a run: its files, its lists, synthetic and unlabelled ones."""
