"""Findings become incidents, and incidents become what people are owed."""
