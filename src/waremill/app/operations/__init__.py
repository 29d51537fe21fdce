"""The use cases of who keeps it running: backup and restore, erasure, retention, examining."""
