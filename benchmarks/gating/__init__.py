"""What gates, the breaker and the emitter cost, and how often gates are wrong."""
