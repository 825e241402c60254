"""What each command does, as a list of steps."""
