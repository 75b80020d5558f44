"""The HTTP service over a tagger: app factory, limits, errors, and the page. No torch."""
