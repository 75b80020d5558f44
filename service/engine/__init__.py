"""Inference for many requests at once: one bounded queue, batches, and a thread that runs them."""
