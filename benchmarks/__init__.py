"""Measures this project beside what a user would pick instead. Run: ``make bench``."""
