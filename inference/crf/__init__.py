"""A trained CRF: its parameters, and exact posteriors under it."""
