"""XML streams, and one module for each protocol spoken on them."""
