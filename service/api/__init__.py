"""The service's own endpoints under /v1, and the shapes and errors that all share."""
