"""Finds trouble while it happens: sessions -> facts -> scopes -> findings."""
