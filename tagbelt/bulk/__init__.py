"""Bulk runs: any number of files in, tagged files out, exactly once however often it is stopped."""
