"""Send messages through carriers that work with both engines, AWS and embedded."""
