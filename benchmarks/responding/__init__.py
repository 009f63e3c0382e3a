"""What `benchmarks/respond.py` is made of."""
