"""What any provider of an interface must do: one suite, run on each."""
