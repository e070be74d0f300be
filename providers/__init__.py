"""The outside world behind our ports: foreign answers become our values, foreign errors our errors."""
