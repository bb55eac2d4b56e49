"""What work runs on: buckets of customers, here on this machine."""
