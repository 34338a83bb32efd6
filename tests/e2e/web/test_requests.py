"""What a failed request is called, so that the page finds the words for it."""

from __future__ import annotations

import pytest

FAILURE_OF = """
  const { request } = await import('/api.js');
  const original = globalThis.fetch;
  globalThis.fetch = answer;
  try {
    return await request('/x', 'application/json', (response) => response.json(), signal).catch(
      (error) => error.kind ?? error.name);
  } finally {
    globalThis.fetch = original;
  }
"""


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *[(400, "request"), (403, "refused"), (404, "missing"), (406, "image.unsupported"), (410, "missing")],
        *[(422, "image.damaged"), (500, "server"), (503, "busy"), (507, "busy")],
    ],
)
def test_a_refusal_is_named_by_its_status(evaluate, status, kind):
    body = "const signal = null, answer = async () => new Response('', { status: given[0] });"
    assert evaluate(body + FAILURE_OF, status) == kind


def test_a_server_that_cannot_be_reached_is_the_network(evaluate):
    body = "const signal = null, answer = async () => { throw new TypeError('Failed to fetch'); };"
    assert evaluate(body + FAILURE_OF) == "network"


def test_an_answer_cut_short_is_the_network_and_one_that_is_no_json_the_server(evaluate):
    cut = "async () => ({ ok: true, json: async () => { throw new TypeError('network error'); } })"
    assert evaluate(f"const signal = null, answer = {cut};" + FAILURE_OF) == "network"
    broken = "async () => new Response('<html>')"
    assert evaluate(f"const signal = null, answer = {broken};" + FAILURE_OF) == "server"


def test_an_abort_is_no_failure(evaluate):
    body = "const signal = AbortSignal.abort(), answer = async () => { throw signal.reason; };"
    assert evaluate(body + FAILURE_OF) == "AbortError"
