"""Patterns to the bytes of a file, and the layouts that onehit knows both ways."""
