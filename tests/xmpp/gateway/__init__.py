"""A gateway with both ends of both connections in memory."""
