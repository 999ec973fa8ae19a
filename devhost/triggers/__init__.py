"""What starts functions without an HTTP request: blobs and the clock."""
