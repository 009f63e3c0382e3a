"""What an agent imports: the emitter, approvals, the breaker. Needs msgspec alone; the Kafka sink confluent-kafka too."""
