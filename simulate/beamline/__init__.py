"""What the beamline is: instruments, their panels and pixels, materials."""
