"""The Lambda handlers.

Each deployed function has one module here. The module has the same name as the folder of the function in `functions/`.
Each module has a function `make_handler(edges)`, which returns the handler. The handler takes an AWS event and calls an
operation.

`convoke.aws.cold_start.started` imports only the module of its own function. The modules can therefore import
everything at the top, because a cold start of one function does not import the modules of another function. This file
must import nothing, because every function imports this file.
"""
