"""MogileFS as Django's file storage."""
