"""What speaks to the outside: one receiver per system, all of one shape (protocol.py)."""
