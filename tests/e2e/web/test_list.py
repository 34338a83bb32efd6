"""Filters of the study list, its pages, and what arrives while it is open."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "query", ["", "?q=nguy%E1%BB%85n+duc", "?date=week", "?q=a&date=today&modality=CT%2CXR"]
)
def test_filters_survive_a_round_through_the_address(evaluate, query):
    body = """
      const { addressOfFilters, filtersOfAddress } = await import('/filters.js');
      return addressOfFilters(filtersOfAddress(given[0]));
    """
    assert evaluate(body, query) == query


def test_filters_of_an_address_that_make_no_sense_are_left_out(evaluate):
    body = "return (await import('/filters.js')).filtersOfAddress('?date=toString&modality=CT,..%2F,&x=1');"
    assert evaluate(body) == {"q": "", "date": "all", "modalities": ["CT"]}


def test_filters_become_matching_keys(evaluate):
    body = """
      const { searchKeys } = await import('/filters.js');
      return searchKeys({ q: ' đức ', date: 'week', modalities: ['CT', 'XR'] }, new Date(2026, 2, 3, 23, 59));
    """
    keys = {"q": "đức", "StudyDate": "20260225-20260303", "ModalitiesInStudy": "CT,CR,DX,RF"}
    assert evaluate(body) == keys


SEARCH = """
  const { StudySearch } = await import('/study-search.js');
  const study = (uid, images = 1) => ({ '0020000D': { Value: [uid] }, '00201208': { Value: [images] } });
  let answer = () => ({ studies: [], more: false });
  const asked = [];
  const ask = async (keys, page) => {
    asked.push(page.offset);
    return answer(page);
  };
  const search = new StudySearch(() => ({}), () => {}, ask);
  const uids = () => search.studies.map((each) => each['0020000D'].Value[0]);
"""


def test_pages_follow_each_other_without_doubles(evaluate):
    body = """
      const pages = { 0: ['3', '2'], 2: ['2', '1'] };
      answer = ({ offset }) => ({ studies: pages[offset].map((uid) => study(uid)), more: offset === 0 });
      await search.restart();
      await search.more();
      await search.more();
      return [asked, uids(), search.isMore];
    """
    assert evaluate(SEARCH + body) == [[0, 2], ["3", "2", "1"], False]


def test_what_arrives_waits_until_it_is_taken_and_what_grows_is_updated(evaluate):
    body = """
      answer = () => ({ studies: [study('2'), study('1')], more: false });
      await search.restart();
      answer = () => ({ studies: [study('3'), study('2', 7), study('1')], more: false });
      await search.poll();
      const before = [uids(), search.newsCount, search.studies[0]['00201208'].Value[0]];
      search.takeNews();
      return [...before, uids(), search.newsCount];
    """
    assert evaluate(SEARCH + body) == [["2", "1"], 1, 7, ["3", "2", "1"], 0]


def test_a_poll_that_fails_leaves_the_list_and_says_that_the_server_is_away(evaluate):
    body = """
      const { RequestFailure } = await import('/api.js');
      answer = () => ({ studies: [study('1')], more: false });
      await search.restart();
      answer = () => { throw new RequestFailure('network'); };
      await search.poll();
      const away = [search.state, search.isOffline, uids()];
      answer = () => ({ studies: [study('1')], more: false });
      await search.poll();
      return [...away, search.isOffline];
    """
    assert evaluate(SEARCH + body) == ["ready", True, ["1"], False]


def test_the_answer_of_an_older_search_does_not_replace_that_of_a_newer_one(evaluate):
    body = """
      const answers = [];
      const askSlowly = (keys, page, signal) => new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('aborted')));
        answers.push((uid) => resolve({ studies: [study(uid)], more: false }));
      });
      const racing = new StudySearch(() => ({}), () => {}, askSlowly);
      const first = racing.restart(), second = racing.restart();
      answers[1]('new');
      answers[0]('old');
      await Promise.all([first, second]);
      return [racing.state, racing.studies.map((each) => each['0020000D'].Value[0])];
    """
    assert evaluate(SEARCH + body) == ["ready", ["new"]]
