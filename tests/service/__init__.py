"""The service as operators run it: processes, signals, files, and what survives."""
