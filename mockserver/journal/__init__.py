"""What happened: traces, what is kept of them, and how a test or a person reads it."""
