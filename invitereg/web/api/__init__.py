"""The HTTP API, for programs: JSON, keys, and a document that describes it all."""
