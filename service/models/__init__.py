"""The models that are served: where they lie, which are loaded, and how they change."""
