"""The ground all rooms stand on: errors, exit codes, labels, defaults, statistics."""
