"""Pipelines with the component, and what is in their documents."""

import spacy

import tagbelt.integrations.spacy  # noqa: F401  # that spaCy knows it

TEXT = "Angela Merkel visited Nagoya. Barack Obama was born in  Hawaii."
PEOPLE = ["Angela Merkel", "Barack Obama"]
PLACES = ["Nagoya", "Hawaii"]


def pipeline(checkpoint, language="en", **config):
    nlp = spacy.blank(language)
    nlp.add_pipe("tagbelt", config={"checkpoint": checkpoint, "threads": 1, **config})
    return nlp


def texts(spans, label=None):
    return [span.text for span in spans if label is None or span.label_ == label]


def places(spans):
    return [(span.label_, span.start_char, span.end_char, span.text) for span in spans]


def places_of(entities):
    return [(e.label, e.start, e.end, e.text) for e in entities]
