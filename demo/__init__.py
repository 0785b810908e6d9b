"""A small site with avatars, kept by a MogileFS of its own: ``make demo``."""
