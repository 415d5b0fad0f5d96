"""Floor 0: everything that is decided, and nothing that touches a disk, a socket, a clock, a thread or a log."""
