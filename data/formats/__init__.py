"""Annotated text as annotation tools write it: JSON with offsets, brat standoff, CoNLL rows."""
