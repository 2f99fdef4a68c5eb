"""Ad-hoc commands: what is executed, whatever stream the requests come on (XEP-0050)."""
