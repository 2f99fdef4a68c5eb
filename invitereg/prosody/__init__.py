"""What a Prosody has stored, read without running any of it."""
