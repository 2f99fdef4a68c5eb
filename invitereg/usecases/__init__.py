"""Use cases, the same for all doors: register, log in, make and change invites."""
