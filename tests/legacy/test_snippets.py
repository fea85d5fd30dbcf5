"""Old helpers: decorators, strings, data sets of TensorFlow, the web server."""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.parse

import keras
import numpy as np
import pytest

from bert4keras import backend, layers, models, snippets, tokenizers
from bert4keras.backend import set_gelu
from bert4keras.snippets import DataGenerator, WebServing
from helpers import tiny

pytestmark = pytest.mark.spread


def test_decorators_of_arguments():
    class Base:
        @snippets.insert_arguments(a=1, b="two")
        def __init__(self, c):
            self.c = c

    class Short(Base):
        @snippets.delete_arguments("b")
        def __init__(self, **kwargs):
            super().__init__(**kwargs)

    assert vars(Base(3, a=5)) == {"a": 5, "b": "two", "c": 3}
    assert vars(Short(c=3)) == {"a": 1, "b": "two", "c": 3}
    with pytest.raises(TypeError, match="Short got an unexpected keyword argument 'b'"):
        Short(c=3, b=4)
    assert models.insert_arguments is snippets.insert_arguments


def test_strings():
    assert snippets.convert_to_unicode("中".encode()) == "中"
    assert snippets.convert_to_str("中") == "中"
    assert tokenizers.convert_to_unicode(b"a\xff") == "a"
    assert tokenizers.is_py2 is False
    assert snippets.uniout is None
    assert layers.np is np
    assert layers.initializers is keras.initializers


def test_recomputation(monkeypatch):
    def call(self, x):
        return x

    assert backend.recompute_grad(call) is call
    monkeypatch.setenv("RECOMPUTE", "1")
    with pytest.raises(ValueError, match="pass remat=True to build_transformer_model"):
        backend.recompute_grad(call)


def test_form_of_gelu():
    try:
        set_gelu("tanh")
        assert tiny.build(hidden_act="gelu").config.hidden_act == "gelu_tanh"
        assert tiny.build(hidden_act="relu").config.hidden_act == "relu"
        saved = tiny.build(hidden_act="gelu")
    finally:
        set_gelu("erf")
    assert tiny.build(hidden_act="gelu").config.hidden_act == "gelu"
    assert type(saved).from_config(saved.get_config()).config.hidden_act == "gelu_tanh"
    with pytest.raises(ValueError, match='set_gelu takes "erf" or "tanh", not \'relu\''):
        set_gelu("relu")


class Samples(DataGenerator):
    """Single samples, as `to_dataset` takes them."""

    def __iter__(self, random=False):
        for _, (tokens, label) in self.sample(random):
            yield np.array(tokens), label


DATA = [([1, 2, 3], 0), ([4], 1), ([5, 6], 1)]


@pytest.mark.parametrize(
    ("names", "read"),
    [
        (None, lambda batch: batch),
        (("ids", "label"), lambda batch: (batch["ids"], batch["label"])),
    ],
)
def test_dataset_of_samples(names, read):
    pytest.importorskip("tensorflow")
    generator = Samples(DATA, batch_size=3)
    types, shapes = ("float32", "int32"), ([None], [])
    batch = next(iter(generator.to_dataset(types, shapes, names, padded_batch=True)))
    ids, labels = (np.asarray(part) for part in read(batch))
    assert ids.dtype == np.float32
    rows = {
        tuple(row[row > 0].astype(int)): int(label) for row, label in zip(ids, labels, strict=True)
    }
    assert rows == {(1, 2, 3): 0, (4,): 1, (5, 6): 1}


def test_dataset_of_inputs_and_labels_by_name():
    pytest.importorskip("tensorflow")

    class Pairs(DataGenerator):
        def __iter__(self, random=False):
            for _, (tokens, label) in self.sample(random):
                yield (np.array(tokens), np.array(tokens) * 0), (label,)

    names, types = (("a", "b"), ("c",)), (("int32", "int32"), ("int32",))
    generator = Pairs([([1, 2], 3), ([4, 5], 6)], batch_size=2)
    dataset = generator.to_dataset(types, (([2], [2]), ([],)), names)
    inputs, labels = next(iter(dataset))
    assert sorted(inputs) == ["a", "b"]
    assert sorted(np.asarray(labels["c"]).tolist()) == [3, 6]
    one = Samples([1, 2]).to_dataset
    assert callable(one)


def test_inputs_in_random_order():
    class Batches(DataGenerator):
        def __iter__(self, random=False):
            for _, sample in self.sample(random):
                yield np.array([sample]), np.array([0])

    generator = Batches(list(range(50)), batch_size=1)
    ordered, test = [], generator.fortest()
    for _ in range(50):
        ordered.append(int(next(test)[0][0]))
    assert ordered == list(range(50))
    test = generator.fortest(random=True)
    found = [int(next(test)[0][0]) for _ in range(50)]
    assert sorted(found) == ordered
    assert found != ordered


@pytest.fixture(scope="module")
def web():
    """Return a server that runs, and its port."""
    server = WebServing(host="127.0.0.1", port=0)
    arguments = {"text": (None, True), "n": (int, False)}
    server.route("/repeat", lambda text, n=2: [text] * n, arguments)
    server.route("/repeat", lambda text: text[::-1], {"text": (None, True)}, method="POST")
    server.route("/object", lambda: object(), {})
    thread = threading.Thread(target=server.start, daemon=True)
    thread.start()
    while server.httpd is None or not server.port:
        time.sleep(0.01)
    yield server
    server.stop()
    thread.join(10)
    assert not thread.is_alive()


def request(server, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET" if body is None else "POST", path, body, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, json.loads(text) if answer.status == 200 else text


def test_web_server(web):
    query = urllib.parse.urlencode({"text": "中 a"})
    assert request(web, f"/repeat?{query}") == (
        200,
        {"code": 0, "desc": "succeeded", "data": ["中 a", "中 a"]},
    )
    assert request(web, f"/repeat?{query}&n=1")[1]["data"] == ["中 a"]
    assert request(web, "/repeat", query)[1]["data"] == "a 中"
    missing = request(web, "/repeat?n=1")[1]
    assert missing == {"code": 1, "desc": 'lack of "text" argument', "data": {}}
    wrong = request(web, f"/repeat?{query}&n=many")[1]
    assert wrong["code"] == 2
    assert "many" in wrong["desc"]
    assert "not JSON serializable" in request(web, "/object")[1]["desc"]
    assert request(web, "/nothing")[0] == 404


def test_web_server_refuses_long_bodies(web):
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
    connection.putrequest("POST", "/repeat")
    connection.putheader("Content-Length", str(2 << 20))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
    connection.putrequest("POST", "/repeat")
    connection.endheaders()
    assert connection.getresponse().status == 411
    connection.close()
