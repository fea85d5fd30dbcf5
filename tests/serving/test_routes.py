"""Routes of the tasks: answers are those of the task itself, and bad requests are told why."""

from __future__ import annotations

import concurrent.futures
import json

import httpx
import pytest

from bert4keras.serving import ServerSettings, create_app, openai_api, requests
from bert4keras.tasks.answers import to_json
from bert4keras.tasks.sql import Table
from helpers.http_server import serving, wait_until

TABLE = {"header": ["city", "people"], "rows": [["Lisbon", 545], ["Porto", None]]}
SQL_TABLE = Table(("city", "people"), (("Lisbon", 545), ("Porto", None)))
PASSAGE = "It is raining. 王小明 wrote it in 1901."


@pytest.mark.parametrize(
    ("name", "body", "samples"),
    [
        ("ner", {"text": "王小明去了北京。"}, "王小明去了北京。"),
        ("ner", {"texts": ["It is raining", "the cat " * 40]}, ["It is raining", "the cat " * 40]),
        ("mood", {"text": "the cat"}, "the cat"),
        ("mood", {"text": "the", "second": "cat"}, ("the", "cat")),
        ("mood", {"texts": ["the", ["the", "cat"]]}, ["the", ("the", "cat")]),
        ("reader", {"question": "Who wrote it?", "passage": PASSAGE}, ("Who wrote it?", PASSAGE)),
        ("reader", {"question": "Who?", "passages": ["it", PASSAGE]}, ("Who?", ["it", PASSAGE])),
        ("reader", {"questions": [{"question": "Who?", "passage": "it"}]}, [("Who?", "it")]),
        ("tables", {"question": "people of Porto", "table": TABLE}, ("people of Porto", SQL_TABLE)),
        ("tables", {"questions": [{"question": "city", "table": TABLE}]}, [("city", SQL_TABLE)]),
        ("ranker", {"query": "Who?", "documents": ["it", "cat"]}, ("Who?", ["it", "cat"])),
        ("gaps", {"text": "It is [MASK]."}, "It is [MASK]."),
        ("gaps", {"texts": ["[MASK] is [MASK]."]}, ["[MASK] is [MASK]."]),
        ("vectors", {"texts": ["It is", "the cat"]}, ["It is", "the cat"]),
        ("writer", {"prompt": "It is"}, "It is"),
        ("writer", {"prompts": ["It", {"prompt": "the", "second": "cat"}]}, ["It", ("the", "cat")]),
        ("mood", {"texts": []}, []),
    ],
)
def test_answers_are_those_of_the_task(client, models, name, body, samples):
    answer = client.post(f"/v1/tasks/{name}", json=body)
    assert answer.status_code == 200, answer.text
    wanted = to_json(models[name](samples))
    key = "answers" if isinstance(samples, list) else "answer"
    assert_close(answer.json()[key], wanted)


def assert_close(found, wanted):
    """Assert that two values of JSON are the same except for rounding."""
    if isinstance(wanted, float):
        assert found == pytest.approx(wanted, abs=1e-4)
    elif isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for key, value in wanted.items():
            assert_close(found[key], value)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=False):
            assert_close(one, other)
    else:
        assert found == wanted


def test_parallel_clients_get_the_answers_of_one_at_a_time(client, models):
    texts = [f"{'the cat sleeps ' * (i % 7)}It is raining {i}" for i in range(48)]
    wanted = to_json([models["mood"](text) for text in texts])
    batches = lambda: int(float(figure(client, 'batch_size_count{task="mood"}')))  # noqa: E731
    before = batches()
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        ask = lambda text: client.post("/v1/tasks/mood", json={"text": text}).json()  # noqa: E731
        for found, right in zip(pool.map(ask, texts), wanted, strict=True):
            assert_close(found["answer"], right)
    assert batches() - before < len(texts) / 2, "requests did not share batches"


def figure(client, name):
    return next(
        line.split()[-1]
        for line in client.get("/metrics").text.splitlines()
        if line.startswith(f"bert4keras_{name} ")
    )


def test_options_of_generation(client, models):
    def ask(**options):
        return client.post("/v1/tasks/writer", json={"prompt": "It is", **options})

    assert ask(max_new_tokens=3).json()["answer"]["tokens"] == 3
    sample = {"name": "Sample", "temperature": 2.0, "seed": 3}
    assert ask(strategy=sample).json() == ask(strategy=sample).json()
    beams = ask(strategy={"name": "BeamSearch", "beams": 3, "n": 2}, max_new_tokens=4).json()
    assert len(beams["answer"]) == 2
    wrong = ask(strategy={"name": "Greedy", "beams": 3})
    assert wrong.status_code == 422
    assert "Greedy does not have all of beams" in error_of(wrong)
    assert "leaves no room" in error_of(ask(max_new_tokens=10_000))


def test_generated_text_is_streamed(client, models):
    body = {"prompt": "It is", "stream": True, "max_new_tokens": 10}
    with client.stream("POST", "/v1/tasks/writer", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert events[-1] == {"done": True}
    pieces = [event["text"] for event in events[:-1]]
    assert len(pieces) > 1
    assert "".join(pieces) == models["writer"]("It is", max_new_tokens=10).text
    wrong = client.post("/v1/tasks/writer", json={**body, "strategy": {"name": "BeamSearch"}})
    assert (wrong.status_code, "none can be streamed" in error_of(wrong)) == (422, True)


def error_of(response) -> str:
    error = response.json()["error"]
    assert list(error) == ["message", "type", "param", "code"]
    return error["message"]


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("mood", {}, "give either 'text' or 'texts'."),
        ("mood", {"text": "a", "texts": ["b"]}, "give either 'text' or 'texts'."),
        ("mood", {"texts": ["a", 3]}, "texts[1]: Input should be a valid string"),
        ("mood", {"text": "a", "txet": "b"}, "txet: Extra inputs are not permitted."),
        ("mood", {"second": "a", "texts": []}, "'second' belongs to 'text'"),
        ("mood", [], "must be a JSON object"),
        ("ner", {"text": 3}, "text: Input should be a valid string."),
        ("ner", {"text": "a\ud800"}, "a text has half of a surrogate pair"),
        ("reader", {"question": "a"}, "'question' needs either 'passage' or 'passages'."),
        ("reader", {"questions": [{"question": "a"}]}, "questions[0]: give either 'passage' or"),
        ("tables", {"question": "a"}, "'question' and 'table' belong together."),
        ("tables", {"question": "a", "table": {"header": []}}, "table.header: List should have"),
        (
            "tables",
            {"question": "a", "table": {"header": ["b"], "rows": [[1, 2]]}},
            "2 cells for 1 columns",
        ),
        ("ranker", {"query": "a"}, "'query' and 'documents' belong together."),
        ("gaps", {"text": "no gap"}, "has no mask"),
        ("gaps", {"texts": ["[MASK]", "no gap"]}, "texts[1]: 'no gap' has no mask"),
        ("vectors", {"text": "a", "prompt": "query"}, "there is no prompt 'query'; known: none."),
        ("writer", {"prompts": ["a"], "stream": True}, "'stream' takes one 'prompt'"),
        ("writer", {"prompts": ["a"], "second": "b"}, "'second' and 'condition' belong to"),
        ("writer", {"prompt": "a", "condition": "b"}, "the condition 'b' of a prompt is none of"),
        ("writer", {"prompt": "a", "max_new_tokens": 0}, "max_new_tokens: Input should be greater"),
    ],
)
def test_a_wrong_body_is_told_why(client, name, body, message):
    response = client.post(
        f"/v1/tasks/{name}",
        content=json.dumps(body),
        headers={"Content-Type": "application/json"},
    )
    assert (response.status_code, message in error_of(response)) == (422, True), response.text


@pytest.mark.parametrize("content", ["{", "", "[" * 100_000, '{"text": "a" "b"}', b"\xff\xfe"])
def test_broken_json(client, content):
    headers = {"Content-Type": "application/json"}
    response = client.post("/v1/tasks/ner", content=content, headers=headers)
    assert response.status_code in (400, 422)
    assert error_of(response)


def test_json_must_be_named_so(client):
    """Any page in a browser may send text/plain to this machine without being asked."""
    response = client.post(
        "/v1/tasks/ner", content='{"text": "a"}', headers={"Content-Type": "text/plain"}
    )
    assert response.status_code in (415, 422)
    assert "Content-Type: application/json" in error_of(response)


def test_unknown_routes_and_methods(client):
    missing = client.post("/v1/tasks/other", json={"text": "a"})
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "not_found_error")
    assert "there is no /v1/tasks/other; GET /v1/tasks lists" in error_of(missing)
    wrong = client.get("/v1/tasks/ner")
    assert wrong.status_code == 405
    assert "GET is not allowed for /v1/tasks/ner" in error_of(wrong)
    assert wrong.headers["allow"] == "POST"
    assert figure(client, 'requests_total{route="other",status="404"}') == "1.0"


def test_tasks_are_listed(client, models):
    listed = client.get("/v1/tasks").json()["tasks"]
    assert [task["name"] for task in listed] == list(models)
    assert listed[0]["class"] == "Tagger"
    assert listed[0]["labels"] == ["PER", "LOC"]
    assert listed[0]["options"]["scheme"] == "BIO"
    assert {"text", "texts"} == set(listed[0]["fields"])


def test_the_description_names_the_fields_of_each_task(client):
    openapi = client.get("/openapi.json").json()
    body = openapi["paths"]["/v1/tasks/reader"]["post"]["requestBody"]["content"]
    name = body["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert set(openapi["components"]["schemas"][name]["properties"]) == {
        *("question", "passage", "passages", "questions")
    }
    page = client.get("/docs").text
    for path in openapi["paths"]:
        assert path in page
    assert "https://" not in page
    assert "<script" not in page


def test_one_failure_is_not_the_neighbours(counting):
    with serving({"count": counting}) as client:
        texts = ["a", "bb", "broken", "cccc", "odd", "dddddd"]
        with concurrent.futures.ThreadPoolExecutor(7) as pool:
            ask = lambda text: client.post("/v1/tasks/count", json={"text": text})  # noqa: E731
            counting.may_answer.clear()
            first = pool.submit(ask, "first")
            wait_until(lambda: ["first"] in counting.batches_seen)
            waiting = [pool.submit(ask, text) for text in texts]
            wait_until(lambda: figure(client, 'queue_length{task="count"}') == "6.0")
            counting.may_answer.set()
            found = [one.result() for one in waiting]
        assert first.result().status_code == 200
        assert sorted(texts) in map(sorted, counting.batches_seen)
        assert [one.status_code for one in found] == [200, 200, 500, 200, 422, 200]
        assert [one.json()["answer"]["label"] for one in found if one.is_success] == [1, 2, 4, 6]
        assert "secret" not in found[2].text
        assert error_of(found[2]).startswith("the model failed on this")
        assert error_of(found[4]) == "the text 'odd' makes no sense."


def test_figures_are_counted(client):
    client.post("/v1/tasks/ner", json={"text": "It is raining"})
    assert float(figure(client, 'requests_total{route="/v1/tasks/ner",status="200"}')) >= 1
    assert float(figure(client, 'request_seconds_count{route="/v1/tasks/ner"}')) >= 1
    assert figure(client, 'queue_length{task="ner"}') == "0.0"
    assert figure(client, "ready") == "1.0"
    assert "process_resident_memory_bytes" in client.get("/metrics").text


def test_not_ready_until_the_models_have_answered(counting):
    counting.may_answer.clear()
    with serving({"count": counting}, wait=False) as client:
        wait_until(lambda: counting.batches_seen)
        warming = client.get("/ready")
        assert (warming.status_code, error_of(warming)) == (503, "the server is warming up.")
        assert client.get("/health").json() == {"status": "ok"}
        counting.may_answer.set()
        wait_until(lambda: client.get("/ready").status_code == 200)


def test_a_model_that_cannot_answer_is_never_ready(counting, caplog):
    counting.predict = lambda *_, **__: 1 / 0
    with serving({"count": counting}, wait=False) as client:
        wait_until(lambda: "count cannot answer" in caplog.text)
        assert client.get("/ready").status_code == 503
        assert client.get("/health").status_code == 200


def test_wrong_settings_and_names(counting):
    with pytest.raises(ValueError, match="there is no task to serve"):
        create_app({})
    with pytest.raises(ValueError, match="the name 'a b' of a task must consist of letters"):
        create_app({"a b": counting})
    for wrong in ({"max_batch": 0}, {"timeout": 0.0}, {"max_wait": -1.0}, {"queue": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}=.* must be"):
            ServerSettings(**wrong)
    with pytest.raises(ValueError, match="max_texts=20 is more than queue=10"):
        ServerSettings(max_texts=20, queue=10)
    with pytest.raises(ValueError, match="the key is empty"):
        ServerSettings(key=" ")
    with pytest.raises(ValueError, match="printable ASCII"):
        ServerSettings(key="密钥")
    assert "secret" not in repr(ServerSettings(key="secret"))


def test_each_kind_of_task_has_its_body(models, client):
    wanted = {
        "ner": requests.TextBody,
        "mood": requests.ClassifierBody,
        "reader": requests.QABody,
        "tables": requests.TableQABody,
        "ranker": requests.RerankerBody,
        "vectors": requests.EncoderBody,
        "gaps": requests.TextBody,
        "writer": requests.GeneratorBody,
    }
    assert {name: requests.body_of(task) for name, task in models.items()} == wanted
    nested = (requests.AskedPassage, requests.AskedTable, requests.RankedTexts, requests.TableBody)
    nested += (requests.GeneratorPrompt, requests.StrategyBody)
    nested += (openai_api.EmbeddingsBody, openai_api.RerankBody, openai_api.RerankDocument)
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert {cls.__name__ for cls in (*wanted.values(), *nested)} <= set(schemas)


def test_connections_are_kept(client):
    with httpx.Client(base_url=client.base_url, trust_env=False) as other:
        for _ in range(3):
            assert other.get("/health").headers.get("connection") != "close"
