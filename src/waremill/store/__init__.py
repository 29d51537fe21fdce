"""The one truth: tables, queries, migrations and group commits on SQLite or PostgreSQL.

The store knows rows and transactions. It must not know templates, providers or what a run decides.
"""
