"""The error that speaks of the user's data rather than of our code."""


class DataError(Exception):
    """Data or an option that cannot be used; the message says which, where, and what to do."""
