"""What one session shows."""
