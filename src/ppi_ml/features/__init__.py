"""The shelf of feature families: one file each, found by its name."""
