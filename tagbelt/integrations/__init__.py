"""Tagbelt inside other libraries."""
