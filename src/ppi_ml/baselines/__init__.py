"""The shelf of baselines: one file each, found by its name."""
