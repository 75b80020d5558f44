"""The report of a finished run: its figures, its charts, its page."""
