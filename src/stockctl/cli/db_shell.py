"""`stockctl db shell`."""
