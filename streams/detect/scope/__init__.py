"""What many sessions show together."""
