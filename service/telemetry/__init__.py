"""Metrics, logs and traces of every request."""
