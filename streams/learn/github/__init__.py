"""What GitHub asks, and is told."""
