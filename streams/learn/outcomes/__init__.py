"""What people decided, wherever they say it."""
