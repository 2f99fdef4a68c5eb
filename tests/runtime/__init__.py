"""Tests of what a process runs with."""
