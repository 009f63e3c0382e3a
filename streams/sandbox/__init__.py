"""What the demo and the tests run on: real parts started here, receivers and agents that misbehave on purpose."""
