"""The dialects that laboratories and simulators write: a room for each."""
