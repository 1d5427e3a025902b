// The appliance's page in a real browser, against one that runs.
//
//   PORTICO_PAGE=https://127.0.0.1:8443/ PORTICO_USER=… PORTICO_PASSWORD=… npm test
//
// PORTICO_SHOTS names a folder for pictures of what was seen.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

const page_url = process.env.PORTICO_PAGE ?? "https://127.0.0.1:8443/";
const user = process.env.PORTICO_USER ?? "ann";
const password = process.env.PORTICO_PASSWORD ?? "correct horse";
const shots = process.env.PORTICO_SHOTS;
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
  });
});
after(() => browser?.close());

// A visit, with everything that the browser complained of.
async function visit(options = {}) {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: 1280, height: 900 },
    ...options,
  });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  const elsewhere = [];
  page.on("request", (request) => {
    if (!request.url().startsWith(page_url)) elsewhere.push(request.url());
  });
  await page.goto(page_url);
  await page.waitForSelector("#sign-in:visible");
  return { context, page, complaints, elsewhere };
}

async function enter(page) {
  await page.fill("#name", user);
  await page.fill("#password", password);
  await page.press("#password", "Enter");
  await page.waitForSelector("#contact[data-state=on]", { timeout: 20_000 });
}

async function shoot(page, name) {
  if (shots) await page.screenshot({ path: `${shots}/${name}.png` });
}

// Serious findings of axe. Its script is run by the debugger, which no policy of the page binds.
async function findings(context, page) {
  const { readFile } = await import("node:fs/promises");
  const session = await context.newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: await readFile(axe, "utf8") });
  const { result } = await session.send("Runtime.evaluate", {
    expression: "axe.run(document).then((found) => JSON.stringify(found.violations))",
    awaitPromise: true,
  });
  const serious = JSON.parse(result.value).filter((f) => ["serious", "critical"].includes(f.impact));
  return serious.map((f) => `${f.id}: ${f.help} (${f.nodes.map((n) => n.target).join(", ")})`);
}

test("who signs in sees numbers that move, and nothing comes from elsewhere", async () => {
  const { context, page, complaints, elsewhere } = await visit();
  await enter(page);
  await page.waitForSelector("#services-table tbody tr");
  const seen = await page.textContent("#version");
  const events = await page.textContent("#events li:first-child time");
  await page.waitForFunction(
    ([id, before]) => document.querySelector(id).textContent !== before,
    ["#events li:first-child time", events],
    { timeout: 70_000 },
  );
  assert.match(seen, /^Portico \d/);
  assert.deepEqual(await findings(context, page), []);
  assert.deepEqual(complaints, []);
  assert.deepEqual(elsewhere, []);
  await page.waitForTimeout(3_000);
  await shoot(page, "overview");
  await page.click("#sign-out");
  await page.waitForSelector("#sign-in:visible");
  const left = await page.request.get(`${page_url}api/v1/servers`);
  assert.equal(left.status(), 401);
  await context.close();
});

for (const colorScheme of ["light", "dark"]) {
  test(`a ${colorScheme} phone shows everything without scrolling sideways`, async () => {
    const { context, page, complaints } = await visit({
      viewport: { width: 390, height: 844 },
      colorScheme,
    });
    assert.deepEqual(await findings(context, page), []);
    await shoot(page, `phone-${colorScheme}-sign-in`);
    await enter(page);
    await page.waitForSelector("#servers-table tbody tr");
    const [wide, room] = await page.evaluate(() => [document.body.scrollWidth, innerWidth]);
    assert.ok(wide <= room, `${wide} > ${room}`);
    assert.deepEqual(await findings(context, page), []);
    assert.deepEqual(complaints, []);
    await shoot(page, `phone-${colorScheme}`);
    await page.locator("#servers-title").scrollIntoViewIfNeeded();
    await page.evaluate(() => document.querySelector("#servers-title").scrollIntoView());
    await shoot(page, `phone-${colorScheme}-servers`);
    await context.close();
  });
}

test("a dark page is as legible as a light one", async () => {
  const { context, page } = await visit({ colorScheme: "dark" });
  await enter(page);
  await page.waitForSelector("#ports-table tbody tr");
  await page.waitForTimeout(2_000);
  assert.deepEqual(await findings(context, page), []);
  await shoot(page, "overview-dark");
  await context.close();
});

test("a wrong password is refused in a sentence, and the keyboard is enough", async () => {
  const { context, page } = await visit();
  await page.keyboard.type("nobody");
  await page.keyboard.press("Tab");
  await page.keyboard.type("wrong");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#refusal").textContent !== "");
  assert.match(await page.textContent("#refusal"), /wrong|too many failures/i);
  assert.equal(await page.evaluate(() => document.activeElement.id), "password");
  await context.close();
});
