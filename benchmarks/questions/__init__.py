"""One small module for each question; ``run(setting)`` gives its tables."""
