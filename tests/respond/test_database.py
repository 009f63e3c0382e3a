"""The database as settings name it."""

from streams.database import migrate


def test_both_spellings_of_an_address_are_understood(database):
    migrate(database.replace("postgresql://", "postgres://", 1))
    migrate(database)
