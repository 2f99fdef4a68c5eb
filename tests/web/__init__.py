"""The door for browsers and programs, as both see it."""
