"""The Lambda handlers.

Each deployed function has one module here, with the same name as the function's folder in `functions/`. The module has
a function `make_handler(edges)`, which returns the handler. The handler takes an AWS event and calls an operation.
The modules `batches` and `invocations` contain code that several functions share.

A deployed function imports no module of another function, so each module can import everything at the top. This file
must import nothing, because every function imports this file. See `convoke.aws.cold_start.started`.
"""
