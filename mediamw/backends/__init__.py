"""Floor 1: the places where files live. They know keys and bytes, never the HTTP requests of clients."""
