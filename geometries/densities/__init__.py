"""Particles of densities: atoms and maps, of sizes of their own."""
