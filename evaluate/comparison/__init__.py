"""Other systems beside onehit's, and what networks look at."""
