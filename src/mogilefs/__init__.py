"""MogileFS for Python: a client, and a MogileFS for one machine."""
