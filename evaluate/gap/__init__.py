"""How far simulated frames are from real ones, and in what."""
