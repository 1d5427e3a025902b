// The page of one of three boxes, against a lab that runs: who serves what, and that it can be
// changed. `cargo xtask browser-test` brings the lab up; by hand as in page.test.js.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { PHONE, enter, judge, leave, open, shoot, tidy, visit } from "./support.js";

let browser;
before(async () => {
  browser = await open();
});
afterEach(tidy);
after(() => browser?.close());

const NODES = ["n1", "n2", "n3"];
const node = (name) => `#nodes-table tr[data-key="${name}"]`;
const vip = (name) => `#vips-table tr[data-key="${name}"]`;

// Three members, and each address served by one of them.
async function settled(page) {
  for (const name of NODES) await page.waitForSelector(`${node(name)} .state[data-tone=good]`);
  await page.waitForFunction(() => !document.querySelector("#vips-table .state[data-tone=warn]"));
}

// Who serves an address, as the page of n1 tells it.
async function owner(page, name) {
  const told = await page.textContent(`${vip(name)} .state`);
  return told === "served" ? "n1" : told.replace("by ", "");
}
const servedBy = (page, name, box) => page.waitForFunction(
  ([row, word]) => document.querySelector(`${row} .state`).textContent === word,
  [vip(name), box === "n1" ? "served" : `by ${box}`],
);

test("an address is moved to the box that is chosen", async () => {
  const seen = await visit(browser);
  const { page, complaints } = seen;
  await enter(page);
  await settled(page);
  const from = await owner(page, "www");
  await page.click(`${vip("www")} button`);
  await page.waitForSelector("#question[open]");
  const offered = await page.locator("#question-which option").allTextContents();
  assert.deepEqual(offered, NODES.filter((name) => name !== from));
  await judge(page, "the question where to");
  await shoot(page, "cluster-move");
  await page.keyboard.press("Escape");
  await page.waitForSelector("#question", { state: "hidden" });
  assert.ok(await page.isHidden("#result"), "a question that is not answered moves nothing");
  for (const to of [...NODES.filter((name) => name !== from), from]) {
    await page.click(`${vip("www")} button`);
    await page.selectOption("#question-which", to);
    await page.click("#question-yes");
    await page.waitForSelector("#result:visible");
    assert.match(await page.textContent("#result-text"), new RegExp(`^www moves from n\\d to ${to}`, "i"));
    await servedBy(page, "www", to);
  }
  assert.deepEqual(complaints, []);
  await leave(seen);
});

test("a box is drained, serves nothing, and is restored", async () => {
  const seen = await visit(browser);
  const { page, complaints } = seen;
  await enter(page);
  await settled(page);
  const box = await owner(page, "www");
  await page.click(`${node(box)} button:text("Drain")`);
  await page.click("#question-yes");
  await page.waitForSelector(`${node(box)} .state[data-tone=warn]`);
  assert.match(await page.textContent("#result-text"), /gives away what it serves/);
  await page.waitForFunction((row) => document.querySelector(`${row} td[data-label=VIPs]`).textContent === "0", node(box));
  assert.notEqual(await owner(page, "www"), box);
  await page.click(`${vip("www")} button`);
  const offered = await page.locator("#question-which option").allTextContents();
  assert.ok(!offered.includes(box), `${offered}`);
  await page.keyboard.press("Escape");
  await shoot(page, "cluster-drained");
  await page.click(`${node(box)} button:text("Restore")`);
  await page.click("#question-yes");
  await settled(page);
  assert.deepEqual(complaints, []);
  await leave(seen);
});

test("what the box refuses is told", async () => {
  const seen = await visit(browser);
  const { page } = seen;
  await enter(page);
  await settled(page);
  const ask = (path, body) => page.evaluate(async ([path, body]) => {
    const { token } = await (await fetch("/api/v1/session")).json();
    const headers = { "content-type": "application/json", "x-portico-token": token };
    const answer = await fetch(`/api/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    return [answer.status, (await answer.json()).message];
  }, [path, body]);
  assert.deepEqual(await ask("move/vip", { vip: "www", node: "n9" }), [409, "there is no node n9, only n1, n2, n3"]);
  assert.deepEqual(await ask("restore/node", { node: "n2" }), [409, "n2 is not drained"]);
  assert.equal((await ask("move/vip", { vip: "www" }))[0], 400);
  await leave(seen);
});

for (const colorScheme of ["light", "dark"]) {
  for (const [screen, viewport] of [["desk", { width: 1280, height: 900 }], ["phone", PHONE]]) {
    test(`the cluster is legible on a ${colorScheme} ${screen}`, async () => {
      const seen = await visit(browser, { colorScheme, viewport });
      const { page, complaints } = seen;
      await enter(page);
      await settled(page);
      await judge(page, "overview of a cluster");
      await page.locator("#nodes-panel").scrollIntoViewIfNeeded();
      await page.evaluate(() => scrollTo(0, document.querySelector("#nodes-panel").offsetTop - 60));
      await shoot(page, `${screen}-${colorScheme}-cluster`);
      assert.deepEqual(complaints, []);
      await leave(seen);
    });
  }
}
