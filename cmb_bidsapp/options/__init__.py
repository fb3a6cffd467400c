"""The command line: options of every verb, and what they ask for as frozen settings."""
