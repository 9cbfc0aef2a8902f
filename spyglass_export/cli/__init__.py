"""The terminal: the commands that authors and readers share, and what is changed in Invoke for them."""
