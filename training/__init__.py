"""Training: config, loop and scripts (train, evaluate)."""
