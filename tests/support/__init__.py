"""Helpers and guards of the test suite."""
