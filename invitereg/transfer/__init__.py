"""Carry data over: export and import, and what a Prosody has stored."""
