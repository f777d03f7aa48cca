"""StockMind's stand-in: a small real service for stockctl to operate."""
