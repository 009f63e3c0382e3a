"""What the kill matrix is made of."""
