"""The component and its door."""
