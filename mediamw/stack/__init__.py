"""Floor 2: the overlay of several backends."""
