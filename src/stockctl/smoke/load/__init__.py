"""Many users at once, by k6, made of the declared checks."""
