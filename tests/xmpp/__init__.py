"""Scripted clients at the c2s door."""
