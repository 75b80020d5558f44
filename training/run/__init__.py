"""A training run from its config to its checkpoint, for one seed or several."""
