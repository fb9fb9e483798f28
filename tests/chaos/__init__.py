"""Faults injected into sweeps, files and disks: `make chaos` injects them all; a small share of them is in the suite."""
