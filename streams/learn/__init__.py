"""What people decided changes what the machine may do."""
