"""What only the book needs: how settings were chosen, whether the instrument can tell rules apart, why a rule helps or does not."""
