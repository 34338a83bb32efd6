/** The studies that the list shows: page after page of one search, and what arrives meanwhile. No DOM. */

import { RequestFailure, searchForStudies } from "./api.js";
import { text } from "./dicom-json.js";

const PAGE = 50;

export class StudySearch {
  #keys;
  #onChange;
  #running = null; // AbortController of the search on its way
  #studies = new Map(); // StudyInstanceUID -> data set, in the order of the list
  #merged = null; // the list with the news in it, until they are taken
  #received = 0; // how far the pages reach, duplicates counted

  /** `keys()` tells the keys of the search at this moment; `onChange()` is told of every change. */
  constructor(keys, onChange, search = searchForStudies) {
    this.#keys = keys;
    this.#onChange = onChange;
    this.search = search;
    this.state = "loading"; // or "ready", "failed"
    this.failure = null;
    this.isMore = false;
    this.isOffline = false;
  }

  get studies() {
    return [...this.#studies.values()];
  }

  /** How many studies a poll found that are not in `studies` yet. */
  get newsCount() {
    return this.#merged === null ? 0 : this.#merged.size - this.#studies.size;
  }

  /** Search from the beginning. What was shown stays until the answer is there. */
  async restart() {
    this.state = "loading";
    this.#merged = null;
    this.#onChange();
    const page = await this.#fetch(0);
    if (page === null) return;
    this.#studies = byUid(page.studies);
    this.#received = page.studies.length;
    this.#settle(page);
  }

  /** Append the next page, if there is one and nothing else is on its way. */
  async more() {
    if (!this.isMore || this.state !== "ready" || this.#running !== null) return;
    const page = await this.#fetch(this.#received);
    if (page === null) return;
    for (const [uid, study] of byUid(page.studies)) this.#studies.set(uid, study);
    this.#received += page.studies.length;
    this.#settle(page);
  }

  /** Look quietly for what has arrived; studies already shown are brought up to date. */
  async poll() {
    if (this.state !== "ready") return this.state === "failed" ? this.restart() : undefined;
    if (this.#running !== null) return undefined;
    const controller = new AbortController();
    this.#running = controller;
    try {
      const page = await this.search(this.#keys(), { limit: PAGE, offset: 0 }, controller.signal);
      this.isOffline = false;
      this.#compare(byUid(page.studies));
    } catch (error) {
      if (controller.signal.aborted) return undefined;
      this.isOffline = error instanceof RequestFailure;
    } finally {
      if (this.#running === controller) this.#running = null;
    }
    return this.#onChange();
  }

  /** Take the news into the list. */
  takeNews() {
    if (this.#merged === null) return;
    this.#received += this.newsCount;
    this.#studies = this.#merged;
    this.#merged = null;
    this.#onChange();
  }

  #compare(newest) {
    const merged = new Map(newest);
    for (const [uid, study] of this.#studies) if (!merged.has(uid)) merged.set(uid, study);
    for (const [uid, study] of newest) if (this.#studies.has(uid)) this.#studies.set(uid, study);
    this.#merged = merged.size > this.#studies.size ? merged : null;
  }

  /** A page of the search, or null where it failed or a newer search took its place. */
  async #fetch(offset) {
    this.#running?.abort();
    const controller = new AbortController();
    this.#running = controller;
    try {
      return await this.search(this.#keys(), { limit: PAGE, offset }, controller.signal);
    } catch (error) {
      if (!controller.signal.aborted) this.#fail(error);
      return null;
    } finally {
      if (this.#running === controller) this.#running = null;
    }
  }

  #settle({ more }) {
    this.state = "ready";
    this.failure = null;
    this.isOffline = false;
    this.isMore = more;
    this.#onChange();
  }

  #fail(error) {
    this.state = "failed";
    this.failure = error instanceof RequestFailure ? error : new RequestFailure("server");
    this.#onChange();
  }
}

function byUid(studies) {
  return new Map(studies.map((study) => [text(study, "StudyInstanceUID"), study]));
}
