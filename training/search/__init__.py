"""Searches good settings: many runs of one config, chosen by their dev F1."""
