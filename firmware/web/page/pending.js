// A commit that returns by itself: whose it is and how long it has, above every view.

import { command, sentence } from "/api.js";
import { tell } from "/dialog.js";
import { byId, say } from "/view.js";

let commit = null;
// When it returns, by this browser's clock, which only measures the time between two snapshots.
let deadline = 0;
let mine = false;

const faces = { web: "at the web page", serial: "at the serial line" };
export const who = (somebody) => `${somebody.user} ${faces[somebody.face] ?? somebody.face}`;

export function left(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function tick() {
  if (commit) say("pending-left", left((deadline - performance.now()) / 1000));
}
setInterval(tick, 500);

export function pending(candidate, at, session) {
  const before = commit?.revision;
  commit = candidate?.unconfirmed ?? null;
  byId("pending").hidden = !commit;
  if (!commit) return;
  mine = commit.session === session;
  deadline = performance.now() + (commit.confirm_by - at) * 1000;
  say("pending-what", `Revision ${commit.revision} by ${mine ? "you" : who(commit)} returns in`);
  say("pending-who", mine ? "unless you confirm it." : "unless that session confirms it.");
  byId("pending-confirm").hidden = !mine;
  if (before !== commit.revision) {
    const minutes = Math.max(1, Math.round((commit.confirm_by - at) / 60));
    say("announce", sentence(`revision ${commit.revision} returns in ${minutes} minutes unless it is confirmed`));
  }
  tick();
}

byId("pending-confirm").addEventListener("click", async () => {
  const { ok, value } = await command("commit/confirm");
  if (ok) tell(`revision ${value.committed} stays; it is running only, not saved: it lasts until the box restarts`);
  else tell(value.message, "bad");
});
