"""Benchmarks of waiting, parsing and creating, compared with other providers: ``make bench``."""
