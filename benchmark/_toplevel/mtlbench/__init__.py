"""The command `mtlbench`. The package to import is `benchmark`."""
