"""What `stockctl status` tells: how an environment stands, piece by piece."""
