"""What a file of frames shows when it is looked at, what is odd about it, and how it had better be read."""
