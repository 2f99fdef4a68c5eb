"""What each release of Prosody and ejabberd can, behind invitereg and beside it."""
