"""The embedded MogileFS: tracker, storage node and background jobs in one process."""
