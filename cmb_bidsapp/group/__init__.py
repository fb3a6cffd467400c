"""Group level: from derivatives to tables."""
