"""The files of the console, a web page that shows the data of an account. The page uses only the public API.

See docs/console.md.
"""
