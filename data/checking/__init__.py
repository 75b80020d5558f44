"""Find faults and oddities in annotated files, and count what the files hold."""
