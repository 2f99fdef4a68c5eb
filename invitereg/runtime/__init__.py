"""What a process needs to run: threads, ports, TLS, the log, and the service manager."""
