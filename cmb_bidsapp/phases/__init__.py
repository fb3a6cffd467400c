"""The phases of a session: each reads files, writes derivatives and tells what it wrote."""
