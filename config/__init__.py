"""One typed Settings model, identity, paths, and the one module that knows time zones."""
