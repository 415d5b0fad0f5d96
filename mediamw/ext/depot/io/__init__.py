"""Where DEPOT keeps files, and the storages over it: directories, buckets, memory."""
