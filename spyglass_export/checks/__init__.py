"""`invoke check`: what would stop a build, told before it starts."""
