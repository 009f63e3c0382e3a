"""What evaluators may cause: lost and earned by what people decided."""
