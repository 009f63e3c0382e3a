"""What once went wrong, as cases that later releases have to pass."""
