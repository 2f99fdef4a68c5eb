"""Ad-hoc commands, independent of the stream that they are given on (XEP-0050)."""
