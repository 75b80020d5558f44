"""The catalogue of public data sets, and fetching their files."""
