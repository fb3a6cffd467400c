"""The two levels of the app, participant and group."""
