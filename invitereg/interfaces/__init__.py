"""Plug points: the interfaces of stores and of accounts, and the values that they exchange."""
