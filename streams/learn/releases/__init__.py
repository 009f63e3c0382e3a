"""Which release contains what, and whether its fixes hold."""
