"""The sections of the detection benchmark: each has `measure(progress) -> dict` and `table(result) -> str`."""
