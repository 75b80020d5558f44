"""`python -m tagbelt`."""

from tagbelt.cli import main

main()
