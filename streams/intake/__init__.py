"""Bytes in, records out: validate, redact, re-batch by root session, and say what could not be used."""
