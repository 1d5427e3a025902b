// The appliance's page in a real browser, against a lab that runs: `cargo xtask browser-test`
// brings one up and runs this. By hand, against any box:
//
//   PORTICO_PAGE=https://127.0.0.1:8443/ PORTICO_USER=… PORTICO_PASSWORD=… npm test
//
// PORTICO_SHOTS names a folder for pictures of what was seen. The document is the lab's own.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { PATIENCE, PHONE, configure, enter, judge, leave, open, pageUrl, shoot, tidy, turn, visit } from "./support.js";

let browser;
before(async () => {
  browser = await open();
});
afterEach(tidy);
after(() => browser?.close());

test("who signs in sees numbers that move, and nothing comes from elsewhere", async () => {
  const { context, page, complaints, elsewhere } = await visit(browser);
  await enter(page);
  await page.waitForSelector("#services-table tbody tr");
  assert.match(await page.textContent("#version"), /^Portico \d/);
  const points = () => document.querySelector("#traffic-spark polyline").getAttribute("points");
  const seen = await page.evaluate(points);
  await page.waitForFunction(
    (before) => document.querySelector("#traffic-spark polyline").getAttribute("points") !== before,
    seen,
  );
  assert.deepEqual(complaints, []);
  assert.deepEqual(elsewhere, []);
  await page.click("#sign-out");
  await page.waitForSelector("#sign-in:visible");
  const left = await page.request.get(`${pageUrl}api/v1/servers`);
  assert.equal(left.status(), 401);
  await context.close();
});

test("a server is drained after a question, and enabled again", async () => {
  const seen = await visit(browser);
  const { page, complaints } = seen;
  await enter(page);
  const row = 'tr[data-key="web/server1"]';
  const badge = (tone) => page.waitForSelector(`${row} .state[data-tone=${tone}]`);
  await badge("good");
  await page.click(`${row} button`);
  await page.waitForSelector("#question[open]");
  await page.keyboard.press("Escape");
  await page.waitForSelector("#question", { state: "hidden" });
  assert.ok(await page.isHidden("#result"), "a question that is not answered does nothing");
  await page.click(`${row} button`);
  await page.click("#question-yes");
  await page.waitForSelector("#result:visible");
  assert.match(await page.textContent("#result-text"), /^web\/server1 gets no new flows/);
  await badge("warn");
  await shoot(page, "drained");
  await page.click(`${row} button:text("Enable")`);
  await page.click("#question-yes");
  await badge("good");
  assert.deepEqual(complaints, []);
  await leave(seen);
});

test("a wrong document shows every problem in place and changes nothing", async () => {
  const seen = await visit(browser);
  const { page, complaints } = seen;
  await enter(page);
  const document = await configure(page);
  const wrong = document.replace('"192.0.2.80"', '"192.0.2.800"').replace('"maglev"', '"maglef"');
  await page.fill("#text", wrong);
  await page.click("#check");
  await page.waitForSelector("#problems:visible");
  const lines = wrong.split("\n");
  for (const [index, word] of [[0, "192.0.2.800"], [1, "maglef"]]) {
    const line = lines.findIndex((one) => one.includes(word)) + 1;
    const jump = page.locator("#problems-list .jump").nth(index);
    const column = lines[line - 1].indexOf(`"${word}`) + 1;
    assert.equal(await jump.textContent(), `${line}:${column}`);
    await jump.click();
    assert.equal(await page.textContent("#place"), `Line ${line}, column ${column}`);
    assert.equal(await page.evaluate(() => document.activeElement.id), "text");
  }
  assert.equal(await page.locator("#marks > div").count(), 2);
  await judge(page, "problems");
  await shoot(page, "problems");
  await page.fill("#text", `${document}[nonsense\n`);
  await page.click("#check");
  await page.waitForFunction((line) => document.querySelector("#problems-list").textContent.includes(line), String(document.split("\n").length));
  const config = await page.request.get(`${pageUrl}api/v1/config`);
  assert.equal(`${(await config.json()).join("\n")}\n`, document, "nothing was changed");
  assert.deepEqual(complaints, []);
  await leave(seen);
});

test("what was typed outlives a reload and a lost connection", async () => {
  const seen = await visit(browser);
  const { context, page } = seen;
  await enter(page);
  const typed = `${await configure(page)}# not handed over yet\n`;
  await page.fill("#text", typed);
  await page.reload();
  await page.waitForSelector("#kept:visible");
  assert.equal(await page.inputValue("#text"), typed);
  assert.match(await page.textContent("#kept-text"), /the box does not have it yet/);
  await context.setOffline(true);
  await page.click("#check");
  await page.waitForSelector("#result[data-tone=bad]");
  assert.match(await page.textContent("#result-text"), /cannot be reached/);
  await context.setOffline(false);
  await page.waitForSelector("#contact[data-state=on]");
  assert.equal(await page.inputValue("#text"), typed);
  await page.click("#check");
  await page.waitForSelector("#result[data-tone=good]");
  await page.waitForSelector("#kept", { state: "hidden" });
  await page.click("#discard");
  await page.click("#question-yes");
  await page.waitForSelector("#change:visible");
  await leave(seen);
});

test("a commit that nobody confirms counts down on every page and returns", async () => {
  const [ours, theirs] = [await visit(browser), await visit(browser, { viewport: PHONE })];
  const { page } = ours;
  await enter(page);
  await enter(theirs.page);
  const document = await configure(page);
  await turn(theirs.page, "configuration");
  await theirs.page.waitForSelector("#take-over:visible");
  assert.ok(await theirs.page.isHidden("#change"));
  assert.match(await theirs.page.textContent("#holder"), /^ann at the web page holds the candidate/);
  await page.fill("#text", document.replace('"200ms"', '"250ms"'));
  await page.click("#compare");
  await page.waitForSelector("#differences:visible");
  assert.match(await page.textContent("#differences-list"), /check\.interval = "250ms"/);
  await shoot(page, "compare");
  await page.fill("#comment", "for a minute");
  await page.check("#return");
  await page.fill("#minutes", "1");
  await page.click("#commit");
  await page.waitForSelector("#pending-confirm:visible");
  await turn(page, "events");
  await page.waitForSelector('#timeline li:has-text("config-committed")');
  await theirs.page.waitForSelector("#pending:visible");
  assert.ok(await theirs.page.isHidden("#pending-confirm"), "only who committed can confirm");
  await judge(page, "a commit that waits");
  await judge(theirs.page, "a commit that waits, on a phone");
  await shoot(theirs.page, "phone-pending");
  const left = () => page.textContent("#pending-left");
  const first = await left();
  assert.match(first, /^[01]:\d\d$/);
  await page.waitForFunction((before) => document.querySelector("#pending-left").textContent !== before, first);
  await page.waitForSelector("#pending", { state: "hidden", timeout: 60_000 + PATIENCE });
  await page.waitForSelector('#timeline li:has-text("config-returned")');
  await shoot(page, "timeline");
  await page.fill("#filter", "config-returned");
  assert.ok(await page.isHidden('#timeline li:has-text("config-committed")'));
  const config = await page.request.get(`${pageUrl}api/v1/config`);
  assert.ok(!(await config.text()).includes("250ms"), "what was in force is again");
  assert.deepEqual(ours.complaints, []);
  assert.deepEqual(theirs.complaints, []);
  await leave(theirs);
  await leave(ours);
});

test("a candidate is taken over, and what was changed goes to its user", async () => {
  const [ours, theirs] = [await visit(browser), await visit(browser)];
  await enter(ours.page);
  await enter(theirs.page);
  const typed = (await configure(ours.page)).replace('"200ms"', '"350ms"');
  await ours.page.fill("#text", typed);
  await ours.page.click("#check");
  await ours.page.waitForSelector("#result[data-tone=good]");
  await turn(theirs.page, "configuration");
  await theirs.page.click("#take-over");
  await theirs.page.waitForSelector("#question[open]");
  await judge(theirs.page, "the question whether to take over");
  await shoot(theirs.page, "take-over");
  await theirs.page.click("#question-yes");
  await theirs.page.waitForFunction((text) => document.querySelector("#text").value.trimEnd() === text.trimEnd(), typed);
  assert.match(await theirs.page.textContent("#result-text"), /your candidate of before is back/);
  await ours.page.waitForSelector("#take-over:visible");
  await turn(ours.page, "events");
  await ours.page.waitForSelector('#timeline li:has-text("candidate-left")');
  await theirs.page.click("#discard");
  await theirs.page.click("#question-yes");
  await theirs.page.waitForSelector("#change:visible");
  assert.deepEqual(theirs.complaints, []);
  await leave(theirs);
  await leave(ours);
});

test("a confirmed commit stays, and an earlier revision can be loaded", async () => {
  const seen = await visit(browser);
  const { page, complaints } = seen;
  await enter(page);
  const before = await configure(page);
  await page.fill("#text", before.replace('"200ms"', '"300ms"'));
  await page.fill("#comment", "to stay");
  await page.check("#return");
  await page.click("#commit");
  await page.click("#pending-confirm");
  await page.waitForSelector("#pending", { state: "hidden" });
  await page.waitForSelector('#revisions-table tr:has-text("to stay") .state:text("in force")');
  await page.click("#revisions-table tr[data-ago='1'] button");
  await page.waitForFunction((text) => document.querySelector("#text").value.trimEnd() === text.trimEnd(), before);
  await page.uncheck("#return");
  await page.fill("#comment", "back again");
  await page.click("#commit");
  await page.waitForSelector('#revisions-table tr:has-text("back again") .state:text("in force")');
  assert.deepEqual(complaints, []);
  await leave(seen);
});

test("who may only look is offered nothing else", async () => {
  const [ours, theirs] = [await visit(browser), await visit(browser)];
  const { page } = theirs;
  await enter(ours.page);
  const document = await configure(ours.page);
  const user = document.slice(document.indexOf("[user.ann]")).replace("user.ann", "user.vic").replace('"configure"', '"view"');
  await ours.page.fill("#text", document + user);
  await ours.page.click("#commit");
  await ours.page.waitForSelector("#result[data-tone=good]");
  await enter(page, "vic");
  await page.waitForSelector("#servers-table tbody tr");
  assert.equal(await page.locator("#servers-table button").count(), 0);
  await turn(page, "configuration");
  await page.waitForSelector("#revisions-table tbody tr");
  assert.equal(await page.locator("#revisions-table button").count(), 0);
  assert.ok((await page.isHidden("#editor")) && (await page.isHidden("#change")));
  const refused = await page.evaluate(async () => {
    const { token } = await (await fetch("/api/v1/session")).json();
    const headers = { "content-type": "application/json", "x-portico-token": token };
    const answer = await fetch("/api/v1/drain/server", { method: "POST", headers, body: '{"pool":"web","server":"server1"}' });
    return [answer.status, (await answer.json()).message];
  });
  assert.deepEqual(refused, [403, "the role view may not do this, it takes operate"]);
  await page.click("#sign-out");
  await page.waitForSelector("#sign-in:visible");
  await ours.page.fill("#text", document);
  await ours.page.click("#commit");
  await ours.page.waitForSelector('#revisions-table tr:nth-child(3)');
  await leave(ours);
});

for (const colorScheme of ["light", "dark"]) {
  for (const [screen, viewport] of [["desk", { width: 1280, height: 900 }], ["phone", PHONE]]) {
    test(`every view is legible on a ${colorScheme} ${screen}`, async () => {
      const seen = await visit(browser, { colorScheme, viewport });
      const { page, complaints } = seen;
      await judge(page, "sign-in");
      await shoot(page, `${screen}-${colorScheme}-sign-in`);
      await enter(page);
      await page.waitForSelector("#ports-table tbody tr");
      await judge(page, "overview");
      await shoot(page, `${screen}-${colorScheme}-overview`);
      await configure(page);
      await page.waitForSelector("#revisions-table tbody tr");
      await judge(page, "configuration");
      await shoot(page, `${screen}-${colorScheme}-configuration`);
      await turn(page, "events");
      await page.waitForSelector("#timeline li");
      await judge(page, "events");
      await shoot(page, `${screen}-${colorScheme}-events`);
      await page.click("#sign-out");
      await page.waitForSelector("#question[open]");
      await judge(page, "a question");
      await page.keyboard.press("Escape");
      assert.deepEqual(complaints, []);
      await leave(seen);
    });
  }
}

test("the keyboard is enough", async () => {
  const { context, page } = await visit(browser);
  const focused = () => page.evaluate(() => {
    const element = document.activeElement;
    return element.id || element.hash || element.getAttribute("aria-label") || element.textContent;
  });
  // Goes on with Tab until something has the focus.
  const reach = async (wanted) => {
    for (let steps = 0; steps < 60; steps += 1) {
      if ((await focused()) === wanted) return;
      await page.keyboard.press("Tab");
    }
    assert.fail(`${wanted} is not reached, but ${await focused()}`);
  };
  await page.keyboard.type("nobody");
  await page.keyboard.press("Tab");
  await page.keyboard.type("wrong");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#refusal").textContent !== "");
  assert.match(await page.textContent("#refusal"), /wrong|too many failures/i);
  assert.equal(await focused(), "password");
  await context.clearCookies();
  await page.reload();
  await page.waitForSelector("#sign-in:visible");
  await reach("name");
  await page.keyboard.type(process.env.PORTICO_USER ?? "ann");
  await page.keyboard.press("Tab");
  await page.keyboard.type(process.env.PORTICO_PASSWORD ?? "correct horse");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#contact[data-state=on]");
  await reach("Drain web/server2");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, "none", "the focus can be seen");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#question[open]");
  await reach("question-yes");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#result:visible");
  await page.keyboard.press("Home");
  await page.evaluate(() => document.activeElement.blur());
  await reach("#configuration");
  await page.keyboard.press("Enter");
  await reach("change");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement.id === "text" && !document.activeElement.readOnly);
  await page.keyboard.press("Control+End");
  await page.keyboard.type("[nonsense");
  await reach("check");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#problems:visible");
  await reach("discard");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#question[open]");
  await reach("question-yes");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#change:visible");
  await turn(page, "overview");
  await page.click('tr[data-key="web/server2"] button:text("Enable")');
  await page.click("#question-yes");
  await page.waitForSelector('tr[data-key="web/server2"] .state[data-tone=good]');
  await leave({ context, page });
});
