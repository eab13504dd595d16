"""What only the book needs: calibration of the twins, and checks of the instrument."""
