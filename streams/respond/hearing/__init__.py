"""What people press and what outside systems tell: checked, written down once, and only then acknowledged."""
