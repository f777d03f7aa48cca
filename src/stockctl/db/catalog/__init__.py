"""What a database's schema is, object by object, as text that reads like SQL."""
