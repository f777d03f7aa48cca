"""The terminal: parse, guard, call one operation, show the result. typer and rich live here."""
