"""Values of the problem: invites, accounts, names and rosters. Pure: no I/O and no clock."""
