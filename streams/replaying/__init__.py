"""The whole pipeline in one process and without a server: the same deciders over a file, on virtual time."""
