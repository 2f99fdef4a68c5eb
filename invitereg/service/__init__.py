"""The service: all parts put together for one configuration, started and stopped."""
