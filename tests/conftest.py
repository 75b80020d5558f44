"""Settings that all tests share."""

import signal

from hypothesis import settings

# Speed is not what is tested: a busy machine must not fail a test.
settings.register_profile("tagbelt", deadline=None)
settings.load_profile("tagbelt")

# A shell that runs the tests in the background has them ignore SIGINT, and so would the commands
# that they start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
