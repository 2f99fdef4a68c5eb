"""The door for browsers and programs that speak HTTP: pages, API, health and metrics."""
