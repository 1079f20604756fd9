"""How fast and how right onehit is on this machine."""
