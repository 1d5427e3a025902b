// Signing in and out, and the stream of snapshots.

import { byId, forget, say, show } from "/view.js";

let stream = null;
let watchdog = 0;

const contact = (on, word) => {
  byId("contact").hidden = false;
  byId("contact").dataset.state = on ? "on" : "off";
  say("contact-word", word);
};

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
  const answer = await fetch(path, { ...options, cache: "no-store" });
  const value = answer.status === 204 ? null : await answer.json();
  return { ok: answer.ok, value };
}

function leave() {
  stream?.close();
  stream = null;
  clearTimeout(watchdog);
}

function welcome(session) {
  leave();
  say("node", session.node ?? "");
  say("cluster", "");
  // Four lines of eight octets, as people compare them.
  const octets = (session.fingerprint ?? "").split(":");
  const lines = [0, 8, 16, 24].map((first) => octets.slice(first, first + 8).join(":"));
  say("fingerprint", lines.join("\n"));
  byId("contact").hidden = true;
  byId("person").hidden = true;
  byId("overview").hidden = true;
  byId("welcome").hidden = false;
  byId("no-users").hidden = session.users;
  byId("sign-in").hidden = !session.users;
  document.title = `Sign in · ${session.node ?? "Portico"}`;
  if (session.users) byId("name").focus();
}

function enter(session) {
  byId("welcome").hidden = true;
  byId("overview").hidden = false;
  byId("person").hidden = false;
  say("user", `${session.user} (${session.role})`);
  forget();
  watch();
}

// Nothing for five seconds is no contact, whatever the browser thinks of the connection.
function expect() {
  clearTimeout(watchdog);
  watchdog = setTimeout(() => contact(false, "no contact"), 5000);
}

function watch() {
  leave();
  contact(false, "connecting");
  stream = new EventSource("/api/v1/live");
  expect();
  stream.onmessage = (event) => {
    show(JSON.parse(event.data));
    contact(true, "live");
    expect();
  };
  stream.addEventListener("over", start);
  stream.onerror = () => {
    contact(false, "no contact");
    // The browser tries again by itself, unless the box said no.
    if (stream?.readyState === EventSource.CLOSED) setTimeout(start, 2000);
  };
}

async function start() {
  leave();
  try {
    const { value } = await ask("/api/v1/session");
    if (value.user) enter(value);
    else welcome(value);
  } catch {
    contact(false, "no contact");
    setTimeout(start, 2000);
  }
}

byId("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = byId("enter");
  button.disabled = true;
  say("refusal", "");
  try {
    const form = { user: byId("name").value, password: byId("password").value };
    const { ok, value } = await ask("/api/v1/sign-in", form);
    byId("password").value = "";
    if (ok) {
      enter(value);
      byId("content").focus();
    } else {
      say("refusal", `${value.message[0].toUpperCase()}${value.message.slice(1)}.`);
      byId("password").focus();
    }
  } catch {
    say("refusal", "The box cannot be reached.");
  } finally {
    button.disabled = false;
  }
});

byId("sign-out").addEventListener("click", async () => {
  leave();
  await ask("/api/v1/sign-out", {}).catch(() => null);
  start();
});

start();
