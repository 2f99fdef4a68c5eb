"""Put the parts of the service together, start and stop them."""
