"""What a pulse can hit: a room for each kind."""
