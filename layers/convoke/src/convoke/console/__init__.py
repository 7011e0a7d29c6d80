"""The console: a page that shows what happens. The page is a client of the public API and has no rights of its own.

See docs/console.md.
"""
