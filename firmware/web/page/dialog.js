// Questions before something is done, and what came of it.

import { sentence } from "/api.js";

const byId = (id) => document.getElementById(id);

// Asks; true: the person wants it. Escape and a click beside it mean no.
export function confirm(title, text, action, danger = false) {
  byId("question-choice").hidden = true;
  return question(title, text, action, danger);
}

// Asks which; null: none of them.
export async function choose(title, text, label, names, action) {
  byId("question-choice").hidden = false;
  byId("question-label").textContent = label;
  byId("question-which").replaceChildren(...names.map((name) => new Option(name, name)));
  return (await question(title, text, action, false)) ? byId("question-which").value : null;
}

function question(title, text, action, danger) {
  const dialog = byId("question");
  byId("question-title").textContent = title;
  byId("question-text").textContent = text;
  const yes = byId("question-yes");
  yes.textContent = action;
  yes.className = danger ? "danger" : "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
byId("question").addEventListener("click", (event) => {
  if (event.target === byId("question")) byId("question").close("no");
});

// Says what came of something, and reads it out. A failure stays until it is closed.
let timer = 0;
export function tell(text, tone = "good") {
  clearTimeout(timer);
  byId("result").dataset.tone = tone;
  byId("result").hidden = false;
  byId("result-text").textContent = sentence(text);
  if (tone === "good") timer = setTimeout(hush, 12_000);
}
export function hush() {
  clearTimeout(timer);
  byId("result").hidden = true;
  byId("result-text").textContent = "";
}
byId("result-close").addEventListener("click", hush);
