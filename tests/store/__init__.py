"""The stores, where they differ."""
