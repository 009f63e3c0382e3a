"""Runs that other tools recorded, as our events: pure converters, a reader of files, a sender to Kafka."""
