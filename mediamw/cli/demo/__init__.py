"""The `mediamw demo` command: an estate agent's site whose media are mostly in production."""
