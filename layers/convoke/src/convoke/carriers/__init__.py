"""The carriers that both engines can use."""
