"""Account backends: where passwords live."""
