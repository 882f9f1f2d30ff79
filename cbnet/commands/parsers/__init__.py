"""The command lines: what a command takes, and its help."""
