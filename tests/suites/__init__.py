"""What other projects wrote to test servers, pages and clients, against ``invitereg demo``.

`make test-suites` runs them; `make test` does not, as they come from far away and change when
they like. What is not installed is skipped, and said.
"""
