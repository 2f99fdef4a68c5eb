"""Clients scripted by bytes, at the c2s door."""
