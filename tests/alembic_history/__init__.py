"""The history of the program before this one, as Alembic ran it.

Its revisions, written anew from ``documented_schema.json``: databases of the old
program are made with the tool that made them, and its times can be measured. Only
``d24f9f7e7532``, the one that can be undone in passing from one branch to the other,
has a way back.

    DATABASE_URL=postgres://… alembic -c tests/alembic_history/alembic.ini upgrade head
"""
