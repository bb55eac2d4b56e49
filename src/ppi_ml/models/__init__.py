"""Mathematics of purchases: arrays and equations, no events, no files."""
