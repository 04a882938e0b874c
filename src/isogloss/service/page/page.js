"use strict";
/* The page of `isogloss serve`. Every text of the corpus enters by textContent, never as HTML. */

const $ = (id) => document.getElementById(id);
const state = { corpus: null, languages: new Set(), mode: null, request: null, facets: [], shownMode: null, ask: 0 };
const HITS = 20;
const STAGES = { dense: "Dense", lexical: "Lexical", fusion: "Fusion", rerank: "Rerank" };

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  const { attributes = {}, ...rest } = properties;
  Object.assign(made, rest);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/* ---- talking to the service ---- */

async function call(path, body) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  const key = sessionStorage.getItem("isogloss-key");
  if (key) headers.Authorization = `Bearer ${key}`;
  const options = { method: body ? "POST" : "GET", headers, signal: state.request?.signal };
  if (body) options.body = JSON.stringify(body);
  const answer = await fetch(path, options);
  if (answer.status === 401) {
    await askForKey();
    return call(path, body);
  }
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error?.message ?? `The service answered ${answer.status}.`);
  return value;
}

function askForKey() {
  const dialog = $("key-dialog");
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      sessionStorage.setItem("isogloss-key", $("key").value.trim());
      $("key").value = "";
      resolve();
    }, { once: true });
  });
}

/* ---- the corpus ---- */

const plural = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

function languageName(tag) {
  return state.corpus?.languages.find((found) => found.language === tag)?.name ?? tag;
}

function showCorpus(corpus) {
  state.corpus = corpus;
  state.mode ??= corpus.default_mode;
  $("modes").querySelectorAll("label").forEach((label) => label.remove());
  const labels = { hybrid: "Hybrid", dense: "Dense", lexical: "Lexical" };
  const order = ["hybrid", "dense", "lexical"].filter((mode) => corpus.modes.includes(mode));
  for (const mode of order) {
    const input = element("input", { type: "radio", name: "mode", value: mode, checked: mode === state.mode });
    input.addEventListener("change", () => { state.mode = mode; search(); });
    $("modes").append(element("label", {}, input, element("span", { textContent: labels[mode] })));
  }
  $("modes").hidden = order.length < 2;
  $("summary-title").textContent = corpus.name;
  $("summary-text").textContent =
    `${plural(corpus.passages, "passage", "passages")} in ${plural(corpus.languages.length, "language", "languages")}`;
  $("summary-languages").replaceChildren(...corpus.languages.map((found) => element("li", {},
    element("span", { textContent: found.name }),
    element("span", { className: "count", textContent: found.passages.toLocaleString("en") }))));
  $("summary").hidden = !document.body.classList.contains("fresh");
  if (corpus.preparing) setTimeout(refreshModes, 1000);
}

/* The lexical index may still be read when the page opens; until then there is dense search. */
async function refreshModes() {
  const corpus = await call("/corpus").catch(() => null);
  if (!corpus) return;
  const chosen = new URLSearchParams(location.search).has("q");
  if (!chosen && !corpus.preparing) state.mode = corpus.default_mode;
  showCorpus(corpus);
}

/* ---- searching ---- */

async function search({ keepAddress = false } = {}) {
  const query = $("query").value.trim();
  if (!query) return;
  if (!state.corpus) return remember(query); // asked before the page was ready, which then takes it from the address
  state.request?.abort();
  state.request = new AbortController();
  const ask = ++state.ask;
  if (!keepAddress) remember(query);
  document.body.classList.remove("fresh");
  $("summary").hidden = true;
  $("results").setAttribute("aria-busy", "true");
  const started = performance.now();
  try {
    const found = await call("/search", {
      query, k: HITS, mode: state.mode, languages: [...state.languages],
      preference_neutral: $("neutral").checked, facets: true, snippets: true,
    });
    if (ask !== state.ask) return;
    show(found, performance.now() - started);
  } catch (problem) {
    if (problem.name === "AbortError") return;
    say(problem.message, true);
    $("results").replaceChildren();
    $("chips").hidden = true;
  } finally {
    if (ask === state.ask) $("results").removeAttribute("aria-busy");
  }
}

function say(text, failed = false) {
  $("status").textContent = text;
  $("status").classList.toggle("failed", failed);
}

function show(found, milliseconds) {
  state.shownMode = found.mode;
  state.facets = found.facets ?? [];
  showChips();
  $("results").replaceChildren(...found.hits.map(hit));
  const where = found.languages.length ? ` in ${found.languages.map(languageName).join(", ")}` : "";
  say(found.hits.length
    ? `${plural(found.hits.length, "passage", "passages")}${where}, ${Math.max(1, Math.round(milliseconds))} ms${withoutWords(found)}`
    : `Nothing found${where}. ${found.mode === "lexical" ? "A lexical search needs a shared word; try hybrid or dense." : "Try other words."}`);
}

/* Some languages may be left out of the lexical index: the reader is told, for nothing shows it in the hits. */
function withoutWords(found) {
  if (!found.not_by_words) return "";
  const named = found.not_by_words.map(languageName).join(", ");
  return found.mode === "lexical" ? `; not searched: ${named}` : `; by meaning alone: ${named}`;
}

function showChips() {
  const counts = new Map(state.facets.map((facet) => [facet.language, facet.hits]));
  for (const tag of state.languages) if (!counts.has(tag)) counts.set(tag, 0);
  const chips = [...counts].map(([tag, count]) => {
    const chip = element("button", { type: "button", title: `${count} of the 100 best passages are in ${languageName(tag)}` },
      element("span", { textContent: languageName(tag) }), element("span", { className: "count", textContent: String(count) }));
    chip.dataset.language = tag;
    chip.setAttribute("aria-pressed", String(state.languages.has(tag)));
    chip.addEventListener("click", () => toggleLanguage(tag));
    return chip;
  });
  $("chips").replaceChildren(...chips);
  $("chips").hidden = chips.length === 0;
}

async function toggleLanguage(tag) {
  if (!state.languages.delete(tag)) state.languages.add(tag);
  await search();
  document.querySelector(`.chips [data-language="${CSS.escape(tag)}"]`)?.focus();
}

/* ---- one hit ---- */

function hit(found) {
  const lang = found.language ?? "";
  const meta = element("div", { className: "meta" },
    element("span", { className: "language", textContent: found.language ? languageName(found.language) : "language unknown" }),
    element("span", { className: "score", textContent: found.score.toFixed(state.shownMode === "hybrid" ? 4 : 3), title: "Score" }),
    element("bdi", { className: "id", textContent: found.id, title: "Id of the passage" }));
  const title = found.title ? element("h2", { dir: "auto", lang, textContent: found.title }) : null;
  const passage = element("p", { className: "passage", dir: "auto", lang });
  fillPassage(passage, found, false);
  // The whole hit follows its text, so that nobody looks for its language on the other side of the page.
  const item = element("li", { className: "hit", tabIndex: -1, dir: isRightToLeft(found.text) ? "rtl" : "ltr" }, meta, title, passage);
  if (isShortened(found)) {
    const more = element("button", { type: "button", className: "more", textContent: "Whole passage", attributes: { "aria-expanded": "false" } });
    more.addEventListener("click", () => {
      const whole = more.getAttribute("aria-expanded") === "false";
      more.setAttribute("aria-expanded", String(whole));
      more.textContent = whole ? "Less" : "Whole passage";
      fillPassage(passage, found, whole);
    });
    item.append(more);
  }
  item.append(why(found));
  return item;
}

function isRightToLeft(text) {
  const letter = text.match(/\p{L}/u)?.[0] ?? "";
  return /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Thaana}\p{Script=Syriac}\p{Script=Nko}\p{Script=Adlam}]/u.test(letter);
}

const isShortened = (found) =>
  Boolean(found.snippet) && found.snippet.before.length + found.snippet.sentence.length + found.snippet.after.length < found.text.length;

function fillPassage(passage, found, whole) {
  if (!found.snippet) return void (passage.textContent = found.text);
  const { sentence } = found.snippet;
  let { before, after } = found.snippet;
  if (whole) {
    const tail = before.startsWith("…") ? before.slice(1) : before;
    const start = found.text.indexOf(tail + sentence) + tail.length;
    before = found.text.slice(0, start);
    after = found.text.slice(start + sentence.length);
  }
  passage.replaceChildren(before, element("mark", { textContent: sentence }), after);
}

function why(found) {
  const asked = { dense: ["dense"], lexical: ["lexical"], hybrid: ["dense", "lexical", "fusion"] }[state.shownMode];
  const shown = [...new Set([...asked, ...Object.keys(found.ranks)])].map((stage) => [stage, STAGES[stage] ?? stage]);
  const rows = shown.map(([stage, label]) => {
    const rank = found.ranks[stage];
    const score = found.scores[stage];
    return element("tr", { className: rank ? "" : "absent" },
      element("th", { scope: "row", textContent: label }),
      element("td", { textContent: rank ? `rank ${rank}` : "not found by it" }),
      element("td", { textContent: score === undefined ? "" : score.toFixed(4) }));
  });
  return element("table", { className: "why", hidden: !$("why").checked },
    element("caption", { textContent: `Why it is number ${found.rank}` }),
    element("tbody", {}, ...rows));
}

function showWhy() {
  for (const table of document.querySelectorAll(".why")) table.hidden = !$("why").checked;
}

/* ---- address, keyboard ---- */

function remember(query) {
  const address = new URL(location.href);
  address.search = new URLSearchParams([["q", query], ["mode", state.mode ?? ""], ...[...state.languages].map((tag) => ["language", tag])]);
  address.hash = "";
  if (address.href !== location.href) history.pushState(null, "", address);
}

function fromAddress() {
  const given = new URLSearchParams(location.search);
  $("query").value = given.get("q") ?? "";
  state.languages = new Set(given.getAll("language"));
  if (state.corpus?.modes.includes(given.get("mode"))) state.mode = given.get("mode");
  for (const input of document.querySelectorAll("[name=mode]")) input.checked = input.value === state.mode;
  showView();
  if ($("query").value) return search({ keepAddress: true });
}

function move(step) {
  const hits = [...document.querySelectorAll(".hit")];
  if (!hits.length) return;
  const here = hits.indexOf(document.activeElement.closest?.(".hit"));
  const next = here < 0 ? (step > 0 ? 0 : hits.length - 1) : Math.min(hits.length - 1, Math.max(0, here + step));
  hits[next].focus({ focusVisible: true });
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("key-dialog").open) return;
  const writing = event.target.matches("input[type=search], input[type=password], select");
  if (event.key === "Escape" && writing) return event.target.blur();
  if (event.key === "ArrowDown" && event.target === $("query")) { event.preventDefault(); return move(1); }
  if (writing) return;
  if (event.key === "/") { event.preventDefault(); $("query").focus(); $("query").select(); }
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "w") { $("why").checked = !$("why").checked; showWhy(); }
}

function showView() {
  const report = location.hash === "#report" && !$("views").hidden;
  $("report-view").hidden = !report;
  $("search-view").hidden = report;
  document.body.classList.toggle("wide", report);
  $(report ? "view-report" : "view-search").setAttribute("aria-current", "page");
  $(report ? "view-search" : "view-report").removeAttribute("aria-current");
}

async function start() {
  document.body.classList.add("fresh");
  $("form").addEventListener("submit", (event) => { event.preventDefault(); search(); });
  $("neutral").addEventListener("change", () => search());
  $("why").addEventListener("change", showWhy);
  $("view-search").addEventListener("click", (event) => {
    event.preventDefault();
    history.pushState(null, "", location.pathname + location.search);
    showView();
  });
  document.addEventListener("keydown", onKey);
  window.addEventListener("popstate", fromAddress);
  window.addEventListener("hashchange", showView);
  try {
    const [corpus, { reports }] = [await call("/corpus"), await call("/reports")];
    showCorpus(corpus);
    if (reports.length) {
      $("views").hidden = false;
      showReports(reports);
    }
  } catch (problem) {
    say(problem.message, true);
  }
  await fromAddress();
  document.body.dataset.ready = "true";
}

start();
