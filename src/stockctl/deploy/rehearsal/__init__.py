"""The deploy, on a copy of the data, before the real one."""
