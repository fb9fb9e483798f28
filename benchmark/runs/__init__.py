"""From a command to records: one run, a sweep, a search."""
