import json
import shlex
import socket

import pytest

from tagbelt.service.api.schemas import SENTENCE
from tagbelt.service.models.registry import Registry
from tagbelt.service.models.served import Served
from tagbelt.service.process.greeting import greeting
from tagbelt.service.settings import Settings
from tests.service.fake import FakeTagger


@pytest.mark.parametrize(
    ("examples", "tried"), [(("Ana's bus 上海", "Toyota"), "Ana's bus 上海"), ((), SENTENCE)]
)
def test_a_sentence_of_the_default_model_is_to_be_tried(examples, tried):
    models = [FakeTagger("zh", examples=("others",)), FakeTagger("en", examples=examples)]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        said = greeting(Registry([Served(one) for one in models]), listener, Settings())
    command = shlex.split(said.rpartition("Try:")[2])
    assert json.loads(command[-1]) == {"text": tried}
