"""Send copies of messages through carriers. The modules in this package work with both engines."""
