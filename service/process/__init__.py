"""The processes that serve: where they listen, how they start, are replaced and end."""
