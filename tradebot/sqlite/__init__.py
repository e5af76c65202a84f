"""Django's SQLite backend with exact decimal numbers.

SQLite computes with 64-bit floats, which keep 15 digits. Here a DecimalField is text;
``decimals`` gives every connection a collation that orders such text by value and
functions that compute with it, ``compiler`` writes SQL that uses them, and refuses what
could not be exact. Money therefore behaves as on PostgreSQL, or says that it cannot.
"""
