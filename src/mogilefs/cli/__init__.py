"""The ``mogilefs`` command."""
