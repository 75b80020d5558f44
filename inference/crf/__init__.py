"""A trained CRF: its parameters and tags, the best path under it, and exact probabilities."""
