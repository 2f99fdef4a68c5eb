"""Where invites, accounts and their history are kept."""
