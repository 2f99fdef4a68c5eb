"""One migration in each module; `0001_initial` makes the first tables."""
