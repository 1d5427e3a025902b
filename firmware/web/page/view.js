// What a snapshot looks like: numbers, tables, sparklines. Only text is ever put into the page.

const whole = new Intl.NumberFormat("en");
export const count = (value) => (value === null || value === undefined ? "–" : whole.format(value));

// Three digits and a prefix: [figure, unit].
export function scaled(value, unit) {
  if (value === null || value === undefined) return ["–", unit];
  const steps = ["", "k", "M", "G", "T"];
  let step = 0;
  while (value >= 999.5 && step < steps.length - 1) {
    value /= 1000;
    step += 1;
  }
  const digits = step === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return [value.toFixed(digits), `${steps[step]}${unit}`];
}
const bits = (octets) => (octets === null || octets === undefined ? "–" : scaled(octets * 8, "bit/s").join("\u00a0"));

export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export const ago = (seconds) => `${span(seconds)} ago`;
// As the log writes it: seconds since the kernel started.
export const clock = (at) => `${at.toFixed(3)} s`;

export const byId = (id) => document.getElementById(id);
export function say(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

// A figure with a small unit.
function figure(id, number, unit) {
  const element = byId(id);
  let small = element.querySelector("small");
  if (!small) {
    small = document.createElement("small");
    element.replaceChildren(document.createTextNode(""), small);
  }
  element.firstChild.data = number;
  small.textContent = unit;
}

// Columns: head, how a row shows it, and what kind it is.
const state = (tone, word) => ({ tone, word });
const health = (server) => {
  if (server.state !== "up") return state("warn", server.state);
  if (server.health === "up") return state("good", "up");
  return server.health === "down" ? state("bad", "down") : state("", server.health);
};
const where = (address, ports) => (address.includes(":") ? `[${address}]` : address) + (ports === null ? "" : `:${ports}`);
const usable = (service) => {
  const tone = service.usable === 0 ? "bad" : service.usable < service.servers ? "warn" : "good";
  return state(tone, `${service.usable} of ${service.servers}`);
};

const standing = (node) => {
  if (!node.member) return state("bad", "no member");
  return node.drained ? state("warn", "drained") : state("good", "member");
};

// What the role of who is signed in allows.
const ROLES = ["view", "operate", "configure"];
let role = "view";
export const may = (needed) => ROLES.indexOf(role) >= ROLES.indexOf(needed);

const TABLES = {
  services: {
    key: (row) => row.service,
    columns: [
      ["Service", (row) => row.service, "head"],
      ["Address", (row) => `${where(row.address, row.ports)} ${row.protocol}`, "address"],
      ["Servers in use", usable, "state"],
      ["Pool", (row) => row.pool],
      ["New flows/s", (row) => count(row.flows_per_second), "number"],
      ["Flows", (row) => count(row.flows), "number"],
      ["Flows since start", (row) => count(row.total), "number"],
    ],
  },
  servers: {
    key: (row) => `${row.pool}/${row.server}`,
    columns: [
      ["Server", (row) => `${row.pool}/${row.server}`, "head"],
      ["Address", (row) => where(row.address, row.port), "address"],
      ["State", health, "state"],
      ["Check", (row, at) => `${row.cause}, for ${span(at - row.since)}`],
      ["New flows/s", (row) => count(row.flows_per_second), "number"],
      ["Flows", (row) => count(row.flows), "number"],
      ["Flows since start", (row) => count(row.total), "number"],
      ["Action", (row) => ({ word: row.state === "up" ? "Drain" : "Enable", of: `${row.pool}/${row.server}` }), "action", "operate"],
    ],
  },
  revisions: {
    key: (row) => String(row.revision),
    columns: [
      ["Revision", (row) => String(row.revision), "head"],
      ["State", (row) => (row.ago > 0 ? state("", row.confirmed ? "earlier" : "unconfirmed") : row.confirmed ? state("good", "in force") : state("warn", "unconfirmed")), "state"],
      ["Commits ago", (row) => count(row.ago), "number"],
      ["When", (row, at) => `${clock(row.at)}, ${ago(at - row.at)}`],
      ["Who", (row) => (row.user ? `${row.user}, ${row.face}` : "the box")],
      ["Changes", (row) => count(row.changes), "number"],
      ["Comment", (row) => row.comment || "–"],
      ["Action", (row) => ({ word: "Load", of: `revision ${row.revision} into the editor` }), "action", "configure"],
    ],
  },
  nodes: {
    key: (row) => row.node,
    columns: [
      ["Node", (row) => row.node, "head"],
      ["Cluster", standing, "state"],
      ["From here", (row) => (row.presence === "own" ? "this box" : row.hears_us || row.presence === "silent" ? row.presence : `${row.presence}, does not hear us`)],
      ["VIPs", (row) => count(row.vips), "number"],
      ["Load", (row) => (row.used_thousandths === null ? "–" : `${Math.ceil(row.used_thousandths / 10)}\u00a0%`), "number"],
      ["Action", (row) => row.member && { word: row.drained ? "Restore" : "Drain", of: row.node }, "action", "operate"],
    ],
  },
  vips: {
    key: (row) => row.vip,
    columns: [
      ["VIP", (row) => row.vip, "head"],
      ["Address", (row) => row.address, "address"],
      ["Here", (row) => (row.served ? state("good", "served") : row.elsewhere ? state("", `by ${row.elsewhere}`) : state("warn", "not served")), "state"],
      ["Network", (row) => row.network],
      ["Flows", (row) => count(row.flows), "number"],
      ["Action", (row) => row.movable && { word: "Move", of: row.vip }, "action", "operate"],
    ],
  },
  ports: {
    key: (row) => row.port,
    columns: [
      ["Port", (row) => row.port, "head"],
      ["Link", (row) => state(row.link === "up" ? "good" : "bad", row.link), "state"],
      ["Network", (row) => row.network],
      ["Received", (row) => bits(row.received_octets_per_second), "number"],
      ["Sent", (row) => bits(row.sent_octets_per_second), "number"],
      ["Dropped", (row) => count(row.dropped), "number"],
    ],
  },
};

function cell(kind, label) {
  const element = document.createElement(kind === "head" ? "th" : "td");
  if (kind === "head") {
    element.scope = "row";
    element.setAttribute("role", "rowheader");
  } else {
    element.setAttribute("role", "cell");
    element.dataset.label = label;
    element.className = { address: "address wide", state: "badge" }[kind] ?? kind ?? "note";
    if (kind === "state") element.append(document.createElement("span"));
    if (kind === "action") {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "plain small";
      element.append(button);
    }
  }
  return element;
}

function build(table, columns) {
  const head = document.createElement("thead");
  const row = document.createElement("tr");
  head.setAttribute("role", "rowgroup");
  row.setAttribute("role", "row");
  for (const [label, , kind] of columns) {
    const heading = document.createElement("th");
    heading.scope = "col";
    heading.setAttribute("role", "columnheader");
    heading.textContent = label;
    if (kind === "number" || kind === "action") heading.className = kind;
    row.append(heading);
  }
  head.append(row);
  const body = document.createElement("tbody");
  body.setAttribute("role", "rowgroup");
  table.setAttribute("role", "table");
  table.replaceChildren(head, body);
}

function fill(element, kind, value) {
  if (kind === "state") {
    const badge = element.firstChild;
    badge.className = "state";
    if (badge.dataset.tone !== value.tone) badge.dataset.tone = value.tone;
    if (badge.textContent !== value.word) badge.textContent = value.word;
  } else if (kind === "action") {
    const button = element.firstChild;
    button.hidden = !value;
    if (!value || button.textContent === value.word) return;
    button.textContent = value.word;
    button.setAttribute("aria-label", `${value.word} ${value.of}`);
  } else if (element.textContent !== value) {
    element.textContent = value;
  }
}

// Rows that stay keep their elements: focus, selection and scrolling do not jump.
export function table(name, rows, total, at) {
  const { key, columns: all } = TABLES[name];
  // A column of what nobody can do here is left out.
  const done = ([, value, kind, needed]) => may(needed) && (kind !== "action" || rows.some((row) => value(row, at)));
  const columns = all.filter((column) => !column[3] || done(column));
  const element = byId(`${name}-table`);
  if (element.tHead?.rows[0].cells.length !== columns.length) build(element, columns);
  const body = element.tBodies[0];
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  rows.forEach((row, index) => {
    const id = key(row);
    let line = known.get(id);
    if (!line) {
      line = document.createElement("tr");
      line.setAttribute("role", "row");
      line.dataset.key = id;
      line.append(...columns.map(([label, , kind]) => cell(kind, label)));
    }
    known.delete(id);
    if (row.ago !== undefined) line.dataset.ago = row.ago;
    columns.forEach(([, value, kind], column) => fill(line.cells[column], kind, value(row, at)));
    if (body.rows[index] !== line) body.insertBefore(line, body.rows[index] ?? null);
  });
  for (const gone of known.values()) gone.remove();
  let note = element.parentElement.querySelector(".empty");
  const words = rows.length === 0 ? "None." : total > rows.length ? `and ${count(total - rows.length)} more` : "";
  if (words && !note) {
    note = document.createElement("p");
    note.className = "empty";
    element.after(note);
  }
  if (note) {
    note.textContent = words;
    note.hidden = !words;
  }
  element.hidden = rows.length === 0;
}

// The last two minutes of a rate.
const PAST = 120;
const history = { traffic: [], births: [] };
function spark(name, value) {
  const past = history[name];
  past.push(value ?? 0);
  if (past.length > PAST) past.shift();
  const most = Math.max(...past, 1);
  const x = (index) => (120 - ((past.length - 1 - index) * 120) / (PAST - 1)).toFixed(1);
  const points = past.map((point, index) => `${x(index)},${(31 - (point / most) * 30).toFixed(1)}`);
  const line = points.join(" ");
  const svg = byId(`${name}-spark`);
  svg.querySelector("polyline").setAttribute("points", line);
  svg.querySelector("polygon").setAttribute("points", `${x(0)},32 ${line} 120,32`);
}
export function forget(session) {
  role = session.role;
  // What can be done is a column; who signed in before may have had another role.
  for (const name of ["servers", "nodes", "vips"]) byId(`${name}-table`).replaceChildren();
  history.traffic.length = 0;
  history.births.length = 0;
}

const LATEST = 8;
function events(log, at) {
  const list = byId("events");
  const items = log.slice(-LATEST).toReversed();
  items.forEach((item, index) => {
    let entry = list.children[index];
    if (!entry) {
      entry = document.createElement("li");
      entry.append(document.createElement("time"), document.createElement("span"));
      list.append(entry);
    }
    const [time, text] = entry.children;
    time.textContent = ago(at - item.at);
    if (text.textContent !== item.text) text.textContent = item.text;
  });
  while (list.children.length > items.length) list.lastChild.remove();
}

function share(name, part, all, bad) {
  const bar = byId(`${name}-share`);
  bar.dataset.tone = bad ? "bad" : "";
  bar.firstElementChild.setAttribute("width", all ? ((part / all) * 100).toFixed(2) : "0");
}

const sum = (rows, name) => {
  const known = rows.map((row) => row[name]).filter((value) => value !== null && value !== undefined);
  return known.length ? known.reduce((total, value) => total + value, 0) : null;
};

let before = null;
export function show(snapshot) {
  const { version, flows, count: counts, at } = snapshot;
  say("node", version.node ?? "no configuration");
  say("cluster", version.cluster ?? "");
  document.title = `${version.node ?? "box"} · Portico`;

  const traffic = sum(snapshot.ports, "received_octets_per_second");
  figure("traffic", ...scaled(traffic === null ? null : traffic * 8, "bit/s"));
  const frames = sum(snapshot.ports, "received_per_second");
  say("traffic-note", frames === null ? "received, all ports" : `${count(frames)} packets/s, all ports`);
  const births = sum(snapshot.services, "flows_per_second");
  figure("births", count(births), "per second");
  if (traffic !== null) spark("traffic", traffic);
  if (births !== null) spark("births", births);

  figure("flows", count(flows.flows), "");
  say("flows-note", `of ${count(flows.capacity)} that fit`);
  share("flows", flows.flows, flows.capacity, flows.flows > 0.9 * flows.capacity);
  figure("servers", count(counts.servers_up), `of ${count(counts.servers)} up`);
  const down = counts.servers - counts.servers_up;
  say("servers-note", `${counts.services_usable} of ${counts.services} services can be used`);
  share("servers", counts.servers_up, counts.servers, down > 0);
  // Only what somebody would want to be told.
  if (before !== null && before !== down) {
    say("announce", down === 0 ? "All servers are up." : `${down} of ${counts.servers} servers are down.`);
  }
  before = down;

  byId("nodes-panel").hidden = counts.nodes < 2;
  const shared = snapshot.nodes.filter((node) => node.member).length > 1;
  for (const vip of snapshot.vips) vip.movable = shared && Boolean(vip.served || vip.elsewhere);
  for (const name of ["services", "servers", "nodes", "vips", "ports"]) table(name, snapshot[name], counts[name], at);
  events(snapshot.log, at);
  const board = version.board ? `, board ${version.board}` : "";
  say("version", `Portico ${version.version}, Linux ${version.kernel}${board}, up ${span(version.uptime)}`);
}
