"""The handlers of the deployed functions: one module for each function, named as the folder in `functions/`.

Each module has a function `make_handler(edges)`. It translates an AWS event into calls of an operation. The modules
import everything at the top, because `convoke.aws.cold_start.started` imports only the module of its own function: a
cold start does not pay for the modules of another function.

This file imports nothing for the same reason.
"""
