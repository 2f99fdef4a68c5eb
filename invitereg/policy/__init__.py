"""Decisions, pure: who may register, who may invite, and what is counted."""
