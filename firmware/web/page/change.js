// The configuration: a text editor of the whole document, its problems in place, and revisions.
// The candidate is the box's; what was typed and not handed over yet is kept in this tab.

import { command, look, sentence } from "/api.js";
import { confirm, hush, tell } from "/dialog.js";
import { who } from "/pending.js";
import { byId, count, say, span, table } from "/view.js";

const DRAFT = "portico-draft";
const LINE = 20;
const text = byId("text");

let me = null;
let candidate = { holder: null, unconfirmed: null };
let now = 0;
// The document that the box has: the candidate, or what is in force. null: not asked for yet.
let known = null;
let held = null;
let newest = null;
let problems = [];

const may = () => me?.role === "configure";
const holds = () => candidate.holder !== null && candidate.holder.session === me?.session;
const plain = (document) => document.replace(/\n+$/, "");
const differs = () => known !== null && plain(text.value) !== plain(known);

// Storage may be full or forbidden; then only the page itself has the text.
function keep() {
  try {
    if (differs()) sessionStorage.setItem(DRAFT, JSON.stringify({ user: me.user, text: text.value, newest }));
    else sessionStorage.removeItem(DRAFT);
  } catch { /* nothing better to keep it in */ }
}
function kept() {
  try {
    const draft = JSON.parse(sessionStorage.getItem(DRAFT));
    return draft?.user === me.user ? draft : null;
  } catch {
    return null;
  }
}
export const unsaved = () => may() && differs();
export const holding = () => holds();

// What the box has, and over it what was typed here before.
async function fetchDocument() {
  const answer = holds() ? await command("show") : await look("config");
  if (!answer.ok) return tell(answer.value.message, "bad");
  const typed = known === null ? kept() : differs() ? { text: text.value, newest } : null;
  known = `${answer.value.join("\n")}\n`;
  const draft = typed && plain(typed.text) !== plain(known) ? typed : null;
  put(draft ? draft.text : known);
  const older = draft && newest !== null && draft.newest !== null && draft.newest !== newest;
  byId("kept").hidden = !draft;
  say("kept-text", draft
    ? `This is what was typed here; the box does not have it yet.${older ? " Another revision is in force since: compare before you commit." : ""}`
    : "");
  keep();
}

function put(value) {
  if (text.value !== value) {
    text.value = value;
    text.setSelectionRange(0, 0);
    text.scrollTop = 0;
  }
  number();
  mark([]);
}

// Line numbers, and marks on those with problems.
function number() {
  const lines = text.value.split("\n").length;
  const numbers = byId("numbers");
  if (numbers.childElementCount === 0 && Number(numbers.dataset.lines) === lines) return;
  numbers.dataset.lines = lines;
  numbers.textContent = Array.from({ length: lines }, (_, index) => index + 1).join("\n");
}
function scrolled() {
  byId("numbers").style.transform = `translateY(${-text.scrollTop}px)`;
  byId("marks").style.transform = `translate(${-text.scrollLeft}px, ${-text.scrollTop}px)`;
}

function place() {
  const before = text.value.slice(0, text.selectionStart).split("\n");
  say("place", `Line ${before.length}, column ${[...before.at(-1)].length + 1}`);
}

// Characters of a line are counted as the box counts them, not as the browser does.
function jump({ line, column }) {
  const lines = text.value.split("\n");
  const row = Math.min(line, lines.length);
  const inside = [...(lines[row - 1] ?? "")].slice(0, column - 1).join("").length;
  const start = lines.slice(0, row - 1).reduce((sum, one) => sum + one.length + 1, 0) + inside;
  text.focus();
  text.setSelectionRange(start, start);
  text.scrollTop = Math.max(0, (row - 5) * LINE);
  text.scrollLeft = 0;
  byId("editor").scrollIntoView({ block: "nearest" });
  place();
}

function mark(found) {
  problems = found;
  byId("problems").hidden = found.length === 0;
  say("problems-title", `${count(found.length)} ${found.length === 1 ? "problem" : "problems"}; nothing was changed`);
  byId("problems-list").replaceChildren(...found.map((problem) => {
    const [item, button, rest] = ["li", "button", "span"].map((kind) => document.createElement(kind));
    button.type = "button";
    button.className = "jump";
    button.textContent = `${problem.line}:${problem.column}`;
    button.setAttribute("aria-label", `Go to line ${problem.line}, column ${problem.column}`);
    button.addEventListener("click", () => jump(problem));
    const path = document.createElement("code");
    path.textContent = problem.path;
    rest.append(path, ` ${problem.what}: ${problem.legal}`);
    item.append(button, rest);
    return item;
  }));
  byId("marks").replaceChildren(...found.map((problem) => {
    const bar = document.createElement("div");
    const spot = document.createElement("i");
    bar.style.top = `${(problem.line - 1) * LINE}px`;
    spot.style.left = `${problem.column - 1}ch`;
    bar.append(spot);
    return bar;
  }));
  if (found.length) text.scrollTop = Math.max(0, (found[0].line - 5) * LINE);
  scrolled();
}

function compared(lines) {
  byId("differences").hidden = lines === null;
  if (lines === null) return;
  say("differences-title", lines.length ? `${count(lines.length)} ${lines.length === 1 ? "difference" : "differences"} from what is in force` : "Nothing differs from what is in force");
  byId("differences-list").replaceChildren(...lines.map((line) => {
    const item = document.createElement("li");
    item.dataset.kind = { "+": "new", "-": "gone" }[line[0]] ?? "other";
    item.textContent = line;
    return item;
  }));
}

// Whose the candidate is, and so what can be done.
function render() {
  const { holder } = candidate;
  const locked = holder !== null && !holds();
  let words = "This is what is in force. Who changes it works on a candidate, and nobody else can meanwhile.";
  if (!may()) words = "The document is for users whose role is configure. Revisions are for everybody.";
  else if (holds()) words = `You hold the candidate, for ${span(now - holder.since)}. The box goes on with what is in force until you commit.`;
  if (locked) words = `${who(holder)} holds the candidate, for ${span(now - holder.since)}. Until it is given up or taken over nobody else can change it.`;
  say("holder", words);
  byId("editor").hidden = !may();
  byId("place").hidden = !holds();
  byId("change").hidden = !may() || holds() || locked;
  byId("take-over").hidden = !may() || !locked;
  for (const id of ["check", "compare", "discard", "commit-form"]) byId(id).hidden = !holds();
  text.readOnly = !holds();
  byId("editor").dataset.open = holds();
}

// Hands what was typed to the box. False: it has problems, or the box did not take it.
async function push() {
  hush();
  compared(null);
  if (!differs()) return true;
  const typed = text.value;
  const { ok, value } = await command("load", { text: typed });
  if (!ok) return refused(value);
  known = typed;
  byId("kept").hidden = !differs();
  keep();
  return true;
}
function refused(value) {
  if (value.problems) mark(value.problems);
  else tell(value.message, "bad");
  if (value.problems) tell(`${value.message}, listed below the text; nothing was changed`, "bad");
  return false;
}

async function busy(button, work) {
  button.disabled = true;
  try {
    await work();
  } finally {
    button.disabled = false;
  }
}
const on = (id, work) => byId(id).addEventListener("click", () => busy(byId(id), work));

async function enter(parameters) {
  const { ok, value } = await command("configure", parameters);
  if (!ok) return tell(value.message, "bad");
  candidate = { ...candidate, holder: { session: me.session, user: me.user, face: "web", since: now } };
  held = true;
  render();
  await fetchDocument();
  // It says whether a candidate that was left is back.
  tell(value.done);
  text.focus();
}
on("change", () => enter({}));
on("take-over", async () => {
  const whose = who(candidate.holder);
  const question = `What ${whose} changed and did not commit is put aside, and given back to that user with the next change.`;
  if (await confirm(`Take the candidate over from ${whose}?`, question, "Take over", true)) await enter({ take_over: true });
});
on("check", async () => {
  if (!(await push())) return;
  const { ok, value } = await command("commit/check");
  if (!ok) return refused(value);
  mark([]);
  tell(value.done);
});
on("compare", async () => {
  if (!(await push())) return;
  const { ok, value } = await command("compare");
  if (!ok) return refused(value);
  compared(value);
});
on("discard", async () => {
  const question = "What you typed and did not commit is lost, and others may change the configuration.";
  if (!(await confirm("Give up the changes?", question, "Give up", true))) return;
  const { ok, value } = await command("exit", { discard: true });
  if (!ok) return tell(value.message, "bad");
  drop();
  tell(value.done);
});
on("kept-drop", async () => {
  drop();
  await fetchDocument();
});

function drop() {
  known = null;
  sessionStorage.removeItem(DRAFT);
  put("");
  compared(null);
  byId("kept").hidden = true;
}

byId("return").addEventListener("change", () => {
  byId("minutes").disabled = !byId("return").checked;
});
byId("commit-form").addEventListener("submit", (event) => {
  event.preventDefault();
  busy(byId("commit"), async () => {
    if (!(await push())) return;
    const minutes = byId("return").checked ? Number(byId("minutes").value) : null;
    const { ok, value } = await command("commit", { confirmed: minutes, comment: byId("comment").value });
    if (!ok) return refused(value);
    mark([]);
    byId("comment").value = "";
    await revisions();
    if (value.done) return tell(value.done);
    const saved = value.saved ? "" : "; it is running only, not saved: it lasts until the box restarts";
    tell(`revision ${value.committed} is in force${saved}`);
  });
});

async function revisions() {
  const { ok, value } = await look("revisions");
  if (!ok) return;
  newest = value[0]?.revision ?? null;
  table("revisions", value.map((row, index) => ({ ...row, ago: index })), value.length, now);
}

byId("revisions-table").addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const number = Number(button.closest("tr").dataset.ago);
  const name = button.closest("tr").dataset.key;
  if (candidate.holder && !holds()) return tell(`the candidate is held by ${who(candidate.holder)}`, "bad");
  if (differs() && !(await confirm("Replace the text?", `What you typed is replaced by revision ${name}.`, "Replace", true))) return;
  if (!holds()) {
    const { ok, value } = await command("configure");
    if (!ok) return tell(value.message, "bad");
    candidate = { ...candidate, holder: { session: me.session, user: me.user, face: "web", since: now } };
    held = true;
  }
  const { ok, value } = await command("rollback", { number });
  if (!ok) return tell(value.message, "bad");
  drop();
  render();
  await fetchDocument();
  tell(`the candidate is as revision ${name} was; nothing is in force until you commit`);
  text.focus();
});

text.addEventListener("input", () => {
  number();
  keep();
  if (problems.length) say("problems-title", `${count(problems.length)} ${problems.length === 1 ? "problem" : "problems"} before the last change: check again`);
  byId("marks").replaceChildren();
  place();
});
text.addEventListener("scroll", scrolled);
for (const event of ["keyup", "click", "focus"]) text.addEventListener(event, place);
addEventListener("beforeunload", (event) => {
  if (unsaved()) event.preventDefault();
});

// Somebody signed in, or nobody is.
export function begin(session) {
  me = session;
  known = null;
  held = null;
  newest = null;
  candidate = { holder: null, unconfirmed: null };
  text.value = "";
  mark([]);
  compared(null);
  byId("kept").hidden = true;
  byId("revisions-table").replaceChildren();
}

// What a snapshot says of it, and what has to be asked for because of that.
let asking = false;
export async function changes(snapshot) {
  const committed = newest !== null && snapshot.candidate.unconfirmed === null && candidate.unconfirmed !== null;
  candidate = snapshot.candidate;
  now = snapshot.at;
  if (byId("view-configuration").hidden) return;
  render();
  const lost = held === true && !holds();
  const fresh = known === null || lost || held !== holds();
  held = holds();
  if (asking) return;
  asking = true;
  if (newest === null || committed || fresh) await revisions();
  if (may() && fresh) await fetchDocument();
  asking = false;
  if (lost && unsaved()) tell("this session does not hold the candidate any more; what you typed is kept here", "bad");
}
