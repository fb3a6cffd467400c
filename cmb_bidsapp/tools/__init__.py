"""Programs that are not ours, one module each; all start through ``external``."""
