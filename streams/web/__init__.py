"""Pages for people and an API for programs."""
