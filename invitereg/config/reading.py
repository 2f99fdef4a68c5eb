"""Says why a file cannot be read, and to whom."""

import os
import pwd


def user_name() -> str:
    """Return the name of the user that this process runs as, or its number."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def why_unreadable(error: OSError) -> str:
    """Return what the system says, and who it says it to where it is about permissions."""
    reason = error.strerror or "no usable file"
    if isinstance(error, PermissionError):
        return f"{reason} for the user {user_name()}"
    return reason
