"""What nobody needs any more is removed, and what was lost is started: two timers and their rules."""
