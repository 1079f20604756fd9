"""How far simulated frames are from real ones, in what, and which simulation comes nearest."""
