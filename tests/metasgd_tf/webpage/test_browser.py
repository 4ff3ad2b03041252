"""The page in a headless Chromium: what one draws and clicks is answered on it."""

import shutil
import threading

import pytest

pytest.importorskip("flask")
pytest.importorskip("selenium")
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from metasgd_tf.clients import drawings
from metasgd_tf.webpage import curve, draw, server, walk
from tests.metasgd_tf.shell import ROOT

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
DRIVER = shutil.which("chromedriver")
MISSING = [
    *([] if CHROMIUM else [f"none of {', '.join(BROWSERS)}"]),
    *([] if DRIVER else ["no chromedriver"]),
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"{' and '.join(MISSING)} on the PATH; Debian's are in chromium and chromium-driver",
    ),
]
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--window-size=1100,900"
)


@pytest.fixture(scope="module")
def address():
    exports = ROOT / "exports"
    drawn = draw.DrawTab(str(exports / "omniglot_5way1shot"))
    curves = curve.CurveTab([str(exports / f"sinusoid_5shot_{a}") for a in ("meta_sgd", "maml")])
    walks = walk.WalkTab([str(ROOT / "trained" / "navigation_fixed_meta_sgd_seed0")])
    answers = {
        "draw": drawn.answer,
        "draw_examples": drawn.examples,
        "curve": curves.answer,
        "curve_example": curves.example,
        "walk": walks.answer,
    }
    about = {"tabs": ["draw", "curve", "walk"], "ways": drawn.ways}
    serving = server.listen(server.create_app(answers, about), 0)
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{serving.port}/"
    serving.shutdown()
    thread.join()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, address):
    """The page as it opens; a test fails if the browser has anything to say of it."""

    def opened(tab):
        browser.get("about:blank")
        browser.get(f"{address}#{tab}")
        until(lambda: browser.find_element(By.ID, tab).is_displayed())
        return browser

    yield opened
    assert browser.get_log("browser") == []


def until(holds):
    return WebDriverWait(None, 30).until(lambda _: holds())


def text(page, selector):
    return page.find_element(By.CSS_SELECTOR, selector).text


def stroke(page, canvas, points):
    """Draws a stroke through points of the unit square with the mouse."""
    size = canvas.size
    places = [
        (round((x - 0.5) * size["width"]), round((y - 0.5) * size["height"])) for x, y in points
    ]
    chain = ActionChains(page, duration=20)
    chain.move_to_element_with_offset(canvas, *places[0]).click_and_hold()
    for place in places[1:]:
        chain.move_to_element_with_offset(canvas, *place)
    chain.release().perform()


def answered(page):
    """Returns the answer's rows once it has one: names, and the percentages."""
    until(lambda: "ms" in text(page, "#draw-time"))
    rows = page.find_elements(By.CSS_SELECTOR, "#draw-answer tbody tr")
    return [row.text.replace(" %", "").split("\n") for row in rows]


def test_drawings_are_classified_and_what_is_missing_is_said(page):
    page = page("draw")
    sentence = "#draw-sentence"
    until(lambda: text(page, sentence) == draw.NOTHING_DRAWN)
    classes = page.find_elements(By.CSS_SELECTOR, "#draw-classes .class")
    canvases = [one.find_element(By.TAG_NAME, "canvas") for one in classes]
    symbols = {0: "house", 1: "snail", 3: "ladder"}
    for number, symbol in symbols.items():
        for one in drawings.strokes(symbol, 1):
            stroke(page, canvases[number], one[::6] if len(one) > 10 else one)
        expected = draw.NO_QUERY if number else draw.ONE_CLASS
        until(lambda expected=expected: text(page, sentence) == expected)
    name = classes[3].find_element(By.TAG_NAME, "input")
    name.clear()
    name.send_keys("<b>steps</b>")
    query = page.find_element(By.CSS_SELECTOR, "#draw-query canvas")
    for one in drawings.strokes("ladder", 2):
        stroke(page, query, one)
        rows = answered(page)
    assert [row[0] for row in rows] == ["class 1", "class 2", "class 3", "<b>steps</b>", "class 5"]
    until(lambda: float(answered(page)[3][1]) > 90)
    adapted = [float(row[1]) for row in answered(page)]
    assert adapted[2] == adapted[4] == 0 and sum(adapted) == pytest.approx(100, abs=0.3)
    assert "answer" in classes[3].get_attribute("class")
    page.find_element(By.CSS_SELECTOR, "#draw-query button").click()
    until(lambda: text(page, sentence) == draw.NO_QUERY)


def test_examples_are_filled_in_and_drawings_added_and_taken_away(page):
    page = page("draw")
    page.find_element(By.ID, "draw-examples").click()
    rows = answered(page)
    assert [row[0] for row in rows] == sorted(drawings.SYMBOLS)
    assert max(float(row[1]) for row in rows) > 90
    first = page.find_element(By.CSS_SELECTOR, "#draw-classes .class")
    first.find_element(By.CSS_SELECTOR, ".class > button").click()
    assert len(first.find_elements(By.TAG_NAME, "canvas")) == 2
    stroke(page, first.find_elements(By.TAG_NAME, "canvas")[1], [(0.2, 0.8), (0.8, 0.2)])
    first.find_elements(By.CSS_SELECTOR, ".drawing button")[1].click()
    assert len(first.find_elements(By.TAG_NAME, "canvas")) == 1
    page.find_element(By.ID, "draw-clear").click()
    until(lambda: text(page, "#draw-sentence") == draw.NOTHING_DRAWN)


def test_points_are_clicked_and_fitted(page):
    page = page("curve")
    until(lambda: len(page.find_elements(By.CSS_SELECTOR, "#curve-plots .step0")) == 2)
    assert text(page, "#curve-sentence") == curve.NO_POINT
    plot = page.find_element(By.CSS_SELECTOR, "#curve-plots svg")

    def click(x, y):
        ActionChains(page).move_to_element_with_offset(plot, x, y).click().perform()

    def shown(kind, count):
        until(lambda: len(page.find_elements(By.CSS_SELECTOR, f"#curve-plots {kind}")) == count)

    click(-60, -30)
    shown(".point", 2)
    shown(".step3", 2)
    click(60, 40)
    shown(".point", 4)
    click(61, 39)
    shown(".point", 2)
    page.find_element(By.ID, "curve-example").click()
    shown(".point", 10)
    shown(".truth", 2)
    page.find_element(By.ID, "curve-clear").click()
    shown(".point", 0)
    until(lambda: text(page, "#curve-sentence") == curve.NO_POINT)


def test_a_goal_is_clicked_and_walked_to(page):
    page = page("walk")

    def walked(kind):
        # At once, since an answer replaces the elements.
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.getAttribute('d'))"
        return page.execute_script(script, kind)

    until(lambda: len(walked(".walk.after")) == 20)
    before = walked(".walk.before")
    assert len(before) == 20
    page.find_element(By.ID, "walk-again").click()
    until(lambda: len(walked(".walk.before")) == 20 and walked(".walk.before") != before)
    goal = walked(".goal path")
    plot = page.find_elements(By.CSS_SELECTOR, "#walk-policies svg")[1]
    ActionChains(page).move_to_element_with_offset(plot, -40, 30).click().perform()
    until(lambda: walked(".goal path") != goal and "mean return" in text(page, "#walk-policies"))
