"""The shelf of targets: one file each, found by its name."""
