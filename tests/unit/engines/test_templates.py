"""Chat templates that came with a model: they write what they do with transformers, and do nothing else."""

import os
import threading

import pytest

from accord.engines.local.templates import BOS, CHATML, PLAIN, Rendering, render

TALK = [
    {"role": "system", "content": "Be brief. ☂ {{ x }}"},
    {"role": "user", "content": "  Why?\n"},
    {"role": "assistant", "content": "Because <b>&</b>."},
    {"role": "user", "content": 'Say "json".'},
]
TEMPLATES = {
    "plain": PLAIN,
    "chatml": CHATML,
    "a loop that is left, and a namespace": """
        {%- set ns = namespace(system='', seen=0) %}
        {%- for m in messages %}
            {%- if m.role == 'system' %}{% set ns.system = m.content | trim %}{% continue %}{% endif %}
            {%- set ns.seen = ns.seen + 1 %}
            {%- if ns.seen > 2 %}{% break %}{% endif %}
            {{- bos_token if loop.first else '' }}[{{ m.role | upper }}] {{ m.content | trim }}
        {% endfor %}
        {{- ns.system }}{{ messages[0] | tojson }}{{ messages | tojson(indent=2) }}
        {%- if add_generation_prompt %}>{% endif %}""",
    "what a model said is marked": """
        {%- for m in messages %}{% if m['role'] == 'assistant' %}{% generation %}
            {{- m['content'] ~ eos_token }}
        {% endgeneration %}{% else %}{{ m['content'] }}{% endif %}
        {% endfor %}""",
    "no tools": "{{ tools is none }} {{ documents is none }} {{ tools is defined }} {{ dict(a=1)['a'] }}",
}
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}


def context(**more: object) -> dict[str, object]:
    return (
        {"messages": TALK, "tools": None, "documents": None, "add_generation_prompt": True} | SPECIAL | more
    )


@pytest.fixture
def rendering():
    made = Rendering()
    yield made
    made.close()


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("answer", [True, False])
def test_the_text_is_that_of_transformers(rendering, name, answer):
    from transformers.utils.chat_template_utils import render_jinja_template

    asked = {"chat_template": TEMPLATES[name], "add_generation_prompt": answer}
    (expected,), _ = render_jinja_template([TALK], **asked, **SPECIAL)
    told = context(add_generation_prompt=answer)
    assert rendering(TEMPLATES[name], told) == expected
    assert rendering(TEMPLATES[name], told) == expected  # the template is known by now
    assert render(TEMPLATES[name], told) == expected


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "processor time"),
        ("{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", "1,048,576 bytes"),
        ("{{ 'x' * 999999999 }}", "256 MiB"),
        ("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "calls itself"),
        ("{{ messages.append(1) }}", "SecurityError"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{{ dict.__class__.__mro__ }}", "SecurityError"),
        ("{% set n = namespace(__class__=1) %}", "SecurityError"),
        ("{% include '/etc/passwd' %}", "Error"),
        ("{{ raise_exception('no system here') }}", "no system here"),
        ("{% for %}", "TemplateSyntaxError"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
    ],
)
def test_what_breaks_a_limit_says_which_and_the_next_one_renders(rendering, template, says):
    with pytest.raises(ValueError, match=says):
        rendering(template, context())
    assert rendering("{{ messages[1].content }}", context()) == "  Why?\n"


def test_the_day_is_always_the_same_one(rendering):
    assert rendering("{% set f = '%Y' %}{{ strftime_now(f) }}", context()) == "2024"


def test_a_process_that_was_killed_is_replaced(rendering):
    assert rendering("a", context()) == "a"
    child = rendering._child
    child.kill()
    child.wait()
    assert rendering("a", context()) == "a"
    assert rendering._child.pid != child.pid


def test_threads_get_their_own_texts(rendering):
    said: dict[int, str] = {}

    def ask(number: int) -> None:
        said[number] = rendering("{{ number }}", context(number=number))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {number: str(number) for number in range(16)}


def test_a_fork_has_a_process_of_its_own(rendering):
    assert rendering("a", context()) == "a"
    child = rendering._child
    forked = os.fork()
    if forked == 0:
        same = rendering("b", context()) == "b" and rendering._child.pid != child.pid
        rendering.close()
        os._exit(0 if same else 1)
    assert os.waitpid(forked, 0)[1] == 0
    assert rendering("c", context()) == "c"
    assert rendering._child is child


def test_what_ships_with_us_needs_no_process(monkeypatch):
    monkeypatch.setattr("accord.engines.local.templates._rendering", lambda: pytest.fail("a process began"))
    assert render(BOS + PLAIN, context()).startswith("<s>system:")
