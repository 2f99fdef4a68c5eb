"""The store: invites, accounts and their history in a database (SQLite)."""
