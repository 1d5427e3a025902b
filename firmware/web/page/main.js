// Signing in and out, the views, and the stream of snapshots.

import { ask, command, sentence, setToken } from "/api.js";
import { begin, changes, holding, unsaved } from "/change.js";
import { choose, confirm, hush, tell } from "/dialog.js";
import { news } from "/events.js";
import { pending } from "/pending.js";
import { byId, forget, may, say, show } from "/view.js";

const VIEWS = ["overview", "configuration", "events"];

let stream = null;
let watchdog = 0;
let session = null;
let latest = null;

const contact = (on, word) => {
  byId("contact").hidden = false;
  byId("contact").dataset.state = on ? "on" : "off";
  say("contact-word", word);
};

function leave() {
  stream?.close();
  stream = null;
  clearTimeout(watchdog);
}

function welcome(box) {
  leave();
  session = null;
  latest = null;
  say("node", box.node ?? "");
  say("cluster", "");
  // Four lines of eight octets, as people compare them.
  const octets = (box.fingerprint ?? "").split(":");
  const lines = [0, 8, 16, 24].map((first) => octets.slice(first, first + 8).join(":"));
  say("fingerprint", lines.join("\n"));
  for (const id of ["contact", "person", "views", "pending", ...VIEWS.map((name) => `view-${name}`)]) byId(id).hidden = true;
  byId("welcome").hidden = false;
  byId("no-users").hidden = box.users;
  byId("sign-in").hidden = !box.users;
  document.title = `Sign in · ${box.node ?? "Portico"}`;
  if (box.users) byId("name").focus();
}

function enter(who) {
  session = who;
  setToken(who.token);
  byId("welcome").hidden = true;
  for (const id of ["person", "views"]) byId(id).hidden = false;
  say("user", `${who.user} (${who.role})`);
  forget(who);
  begin(who);
  turn();
  watch();
}

// Shows the view that the address names; another address, such as that of the skip link, none.
function turn() {
  if (!session) return;
  const named = VIEWS.find((name) => location.hash === `#${name}`);
  const shown = VIEWS.find((name) => !byId(`view-${name}`).hidden);
  const view = named ?? shown ?? VIEWS[0];
  for (const name of VIEWS) byId(`view-${name}`).hidden = name !== view;
  for (const link of byId("views").children) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (shown && shown !== view) {
    scrollTo(0, 0);
    byId("content").focus({ preventScroll: true });
  }
  if (latest) render(latest);
}
addEventListener("hashchange", turn);

function render(snapshot) {
  show(snapshot);
  pending(snapshot.candidate, snapshot.at, session.session);
  changes(snapshot);
  news(snapshot.log, snapshot.at);
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
    latest = JSON.parse(event.data);
    render(latest);
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
    if (!value.user) welcome(value);
    // The same session goes on: what is on the page stays.
    else if (session?.session === value.session) watch();
    else enter(value);
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
      hush();
      enter(value);
      byId("content").focus();
    } else {
      say("refusal", sentence(value.message));
      byId("password").focus();
    }
  } catch {
    say("refusal", "The box cannot be reached.");
  } finally {
    button.disabled = false;
  }
});

byId("sign-out").addEventListener("click", async () => {
  const waits = latest?.candidate.unconfirmed?.session === session?.session;
  const losses = [];
  if (waits) losses.push("What you committed and did not confirm returns at once.");
  if (holding()) losses.push("You give up the candidate, and changes in it that are not committed.");
  if (unsaved()) losses.push("What you typed stays in this tab.");
  if (losses.length && !(await confirm("Sign out?", losses.join(" "), "Sign out", waits))) return;
  leave();
  await ask("/api/v1/sign-out", {}).catch(() => null);
  start();
});

// Draining and enabling servers.
byId("servers-table").addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button || !may("operate")) return;
  const key = button.closest("tr").dataset.key;
  const row = latest.servers.find((server) => `${server.pool}/${server.server}` === key);
  if (!row) return;
  const drain = row.state === "up";
  const title = drain ? `Drain ${key}?` : `Enable ${key}?`;
  const text = drain
    ? `It gets no new flows; those it has (${row.flows}) go on until they end. It lasts until you enable it, the next commit, or the next start of the box.`
    : "It is used again as the configuration says.";
  if (!(await confirm(title, text, drain ? "Drain" : "Enable"))) return;
  const words = drain ? "drain/server" : "undrain/server";
  const { ok, value } = await command(words, { pool: row.pool, server: row.server });
  tell(ok ? value.done : value.message, ok ? "good" : "bad");
});

// Draining and restoring boxes of the cluster.
byId("nodes-table").addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button || !may("operate")) return;
  const row = latest.nodes.find(({ node }) => node === button.closest("tr").dataset.key);
  if (!row) return;
  const [title, text, word, words] = row.drained
    ? [`Restore ${row.node}?`, "It may serve again: its share of the virtual addresses is moved to it soon after.", "Restore", "restore/node"]
    : [`Drain ${row.node}?`, `The virtual addresses that it serves (${row.vips}) move to other boxes, and it gets no others until you restore it. Connections go on.`, "Drain", "drain/node"];
  if (!(await confirm(title, text, word))) return;
  const { ok, value } = await command(words, { node: row.node });
  tell(ok ? value.done : value.message, ok ? "good" : "bad");
});

// Moving a virtual address.
byId("vips-table").addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button || !may("operate")) return;
  const row = latest.vips.find(({ vip }) => vip === button.closest("tr").dataset.key);
  if (!row) return;
  const owner = row.elsewhere ?? latest.version.node;
  const fit = latest.nodes.filter((box) => box.member && !box.drained && box.node !== owner);
  if (!fit.length) return tell(`no other box could serve ${row.vip}: none is a member that is not drained`, "bad");
  const text = `${row.address} is served by ${owner}. The addresses of its group move with it; connections go on.`;
  const node = await choose(`Move ${row.vip}?`, text, "To", fit.map((box) => box.node), "Move");
  if (node === null) return;
  const { ok, value } = await command("move/vip", { vip: row.vip, node });
  tell(ok ? value.done : value.message, ok ? "good" : "bad");
});

start();
