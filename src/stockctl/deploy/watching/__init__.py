"""A release that went live is watched, and withdrawn when it is not well for long enough."""
