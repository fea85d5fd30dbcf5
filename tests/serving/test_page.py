"""The page: what it loads, and, where Chromium is installed, what it shows."""

from __future__ import annotations

import re
import shutil

import pytest

from bert4keras.serving.pages import content_security_policy, read_page

WORDS = re.compile(r"(\w+): \"")


def test_nothing_is_loaded_from_elsewhere(client):
    page = read_page()
    assert not re.search(r"(?:https?:)?//[a-z]", re.sub(r"^\s*//.*$", "", page, flags=re.MULTILINE))
    assert not re.search(r"\b(?:src|srcset|@import|url\()", page.replace("http-equiv", ""))
    response = client.get("/")
    assert response.text == page
    policy = dict(
        part.split(" ", 1) for part in response.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'self'"
    assert "unsafe-inline" not in str(policy)
    assert policy["script-src"].startswith("'sha256-")
    assert policy["style-src"].startswith("'sha256-")


def test_the_policy_is_of_the_text():
    page = "<style>a</style><script>b</script>"
    policy = content_security_policy(page)
    # As `printf b | openssl dgst -sha256 -binary | base64` says.
    assert "script-src 'sha256-PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0='" in policy
    assert policy != content_security_policy(page.replace("b", "c"))
    assert "script-src 'none'" in content_security_policy("<p>")


def test_texts_are_never_parsed_as_html():
    page = read_page()
    for unsafe in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("):
        assert unsafe not in page


def test_both_languages_have_all_words():
    page = read_page()
    english, chinese = (
        WORDS.findall(re.search(rf"\n  {name}: (\{{.*?\}}),\n", page, re.DOTALL)[1])
        for name in ("en", "zh")
    )
    assert english == chinese
    used = set(re.findall(r'data-i18n="(\w+)"|say\("(\w+)"', page))
    assert {a or b for a, b in used} <= set(english)


def test_every_field_of_the_form_has_a_label_and_a_place_in_the_body(models):
    from bert4keras.serving.requests import body_of

    page = read_page()
    for task in models.values():
        kind = re.search(rf"\b{type(task).__name__}: \[\[(.*?)\]\]", page)
        assert kind, f"the page has no form for {type(task).__name__}"
        names = set(re.findall(r'\["(\w+)"', kind[1]))
        own = set(body_of(task).model_fields) | {"query", "documents"}  # the latter for /v1/rerank
        assert names <= own


@pytest.fixture(scope="module")
def browser():
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("Chromium is not installed: Debian's packages chromium and chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "lang=en-US"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    yield browser
    browser.quit()


class Page:
    """The page in a browser."""

    def __init__(self, browser, client):
        self.browser = browser
        browser.get(str(client.base_url))
        self.wait("return document.querySelectorAll('#task option').length > 0")

    def wait(self, script):
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.browser, 30).until(lambda browser: browser.execute_script(script))

    def find(self, selector):
        return self.browser.find_elements("css selector", selector)

    def texts(self, selector):
        return [element.text for element in self.find(selector)]

    def ask(self, name, **fields):
        """Choose a task, fill its form in, and wait for the answer."""
        from selenium.webdriver.support.ui import Select

        options = [text.split()[0] for text in self.texts("#task option")]
        Select(self.find("#task")[0]).select_by_index(options.index(name))
        for field, text in fields.items():
            (area,) = self.find(f"#{field}")
            area.clear()
            # The driver cannot type characters beyond the basic plane.
            self.browser.execute_script("arguments[0].value = arguments[1]", area, text)
        self.find("#send")[0].click()
        self.wait("return !document.getElementById('send').disabled")


@pytest.fixture
def page(browser, client):
    return Page(browser, client)


def test_entities_are_marked_in_their_text(page, models):
    text = "😀王小明 <b>is</b> in Lisbon"  # one character of two units, and no HTML
    page.ask("ner", text=text)
    found = models["ner"](text)
    assert found
    marks = page.browser.execute_script(
        "return [...document.querySelectorAll('mark')].map((m) => m.firstChild.textContent)"
    )
    assert marks == [entity.text for entity in found]
    assert page.texts("#answer td")[:2] == [found[0].text, found[0].label]
    assert not page.find("#answer b")
    assert "Answered in" in page.texts("#status")[0]


def test_answers_of_other_tasks(page, models):
    page.ask("mood", text="the cat")
    best = models["mood"]("the cat")
    assert page.texts("#answer strong") == [best.label]
    assert page.texts(".bar span:first-child")[0] == best.label
    page.ask("vectors", query="the cat", documents="It is raining\nthe cat\n\nWho?")
    assert page.texts(".bar span:first-child")[0] == "the cat"
    assert page.texts(".bar span:last-child")[0] == "1.000"
    page.ask("tables", question="people of Porto", table="city,people\nLisbon,545\nPorto,232")
    assert page.texts("#answer code")[0].startswith("SELECT ")
    passage = "😀 It is raining. Who wrote it?"
    page.ask("reader", question="Who?", passage=passage)
    answer = models["reader"](("Who?", passage))
    shown = [mark.rpartition("\n")[0] or mark for mark in page.texts("mark")]
    assert answer.text == "" or shown[0].startswith(answer.text)
    page.ask("gaps", text="It is [MASK].")
    assert page.texts(".bar span:first-child") == [f.token for f in models["gaps"]("It is [MASK].")]


def test_text_comes_as_it_is_generated(page, models):
    page.ask("writer", prompt="It is")
    assert (
        page.find("#answer .text")[0].get_property("textContent") == models["writer"]("It is").text
    )


def test_errors_and_languages(page):
    page.ask("gaps", text="no gap")
    assert "has no mask" in page.texts("#error")[0]
    page.find("#language")[0].click()
    assert page.texts("label[for=task]") == ["任务"]
    assert page.find("html")[0].get_attribute("lang") == "zh-CN"
    page.ask("ner", text="It is raining")
    assert "用时" in page.texts("#status")[0]
    page.find("#language")[0].click()
    assert page.texts("label[for=task]") == ["Task"]
    logged = [entry["message"] for entry in page.browser.get_log("browser")]
    assert [entry for entry in logged if "422" not in entry] == []  # nothing was blocked or failed


def test_the_page_asks_for_the_key(browser):
    from helpers.http_server import Counting, serving

    with serving({"count": Counting()}, key="sesame") as client:
        client.headers["Authorization"] = "Bearer sesame"
        browser.get(str(client.base_url))
        page = object.__new__(Page)
        page.browser = browser
        page.wait("return !document.getElementById('secret').hidden")
        page.find("#key")[0].send_keys("sesame")
        page.find("#send")[0].click()
        page.wait("return document.querySelectorAll('#task option').length > 0")
