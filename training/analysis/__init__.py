"""Finished runs looked at closely: reports, comparisons, repeated seeds."""
