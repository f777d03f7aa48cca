"""What a database suffers from, and what to do: read-only, each query in a function of its own."""
