"""What disturbs a pattern: a room for each effect, from the pulse to the read-out."""
