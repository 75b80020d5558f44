"""Settings that all tests share."""

from hypothesis import settings

# Speed is not what is tested: a busy machine must not fail a test.
settings.register_profile("tagbelt", deadline=None)
settings.load_profile("tagbelt")
