"""A run's directory: what it keeps, the state to resume from, and whose it is."""
