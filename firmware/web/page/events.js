// The timeline: what the log says, newest first, as it happens.

import { look } from "/api.js";
import { byId, ago, clock } from "/view.js";

const MOST = 2000;
let known = [];
let asking = false;
let now = 0;

const same = (a, b) => a.at === b.at && a.event === b.event && a.text === b.text;
const TONES = { error: "bad", warning: "warn", information: "" };

function entry(item) {
  const line = document.createElement("li");
  const [time, name, text] = ["time", "span", "p"].map((kind) => document.createElement(kind));
  const since = document.createElement("span");
  since.className = "since quiet";
  time.textContent = clock(item.at);
  time.append(since);
  name.className = "state";
  name.dataset.tone = TONES[item.severity] ?? "";
  name.textContent = item.event;
  text.textContent = item.text;
  line.append(time, name, text);
  line.dataset.at = item.at;
  line.dataset.words = `${item.event} ${item.text}`.toLowerCase();
  return line;
}

const word = () => byId("filter").value.trim().toLowerCase();

function filter() {
  let shown = 0;
  for (const line of byId("timeline").children) {
    line.hidden = !line.dataset.words.includes(word());
    if (!line.hidden) shown += 1;
  }
  const all = known.length;
  byId("timeline-count").textContent = word() ? `${shown} of ${all} events contain this.` : `${all} events since the box started or as far as it remembers.`;
}

// Only what can be seen needs its age told anew.
function ages() {
  for (const since of byId("timeline").querySelectorAll("li:not([hidden]) .since")) {
    const text = ago(now - Number(since.closest("li").dataset.at));
    if (since.textContent !== text) since.textContent = text;
  }
}

function add(items) {
  if (!items.length) return;
  known.push(...items);
  byId("timeline").prepend(...items.toReversed().map(entry));
  // The box itself remembers no more.
  while (known.length > MOST) known.shift();
  while (byId("timeline").children.length > MOST) byId("timeline").lastChild.remove();
  filter();
}

async function reload() {
  if (asking) return;
  asking = true;
  const { ok, value } = await look("events");
  asking = false;
  if (!ok) return;
  known = [];
  byId("timeline").replaceChildren();
  add(value);
  ages();
}

// A snapshot has the last lines. If none of them is known, some are missing between.
export function news(items, at) {
  now = at;
  if (byId("view-events").hidden) {
    // What was missed is asked for when somebody looks.
    known = [];
    return;
  }
  const last = known.at(-1);
  const place = last ? items.findLastIndex((item) => same(item, last)) : -1;
  if (place < 0) reload();
  else add(items.slice(place + 1));
  ages();
}

byId("filter").addEventListener("input", filter);
