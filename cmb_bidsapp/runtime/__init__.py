"""Running sessions: processes, stamps, errors, progress."""
