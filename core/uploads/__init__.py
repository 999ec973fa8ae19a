"""Files that browsers put straight into Blob Storage: where to, until when, and what is accepted."""
