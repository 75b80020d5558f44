"""The commands of `tagbelt`."""
