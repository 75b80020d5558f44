"""What may be wrong with annotated files, told with file, line and severity, and their counts."""
