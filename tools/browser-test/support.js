// A browser, visits to the page, and what every view has to pass.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";

import { chromium } from "playwright-core";

export const pageUrl = process.env.PORTICO_PAGE ?? "https://127.0.0.1:8443/";
const user = process.env.PORTICO_USER ?? "ann";
const password = process.env.PORTICO_PASSWORD ?? "correct horse";
const shots = process.env.PORTICO_SHOTS;
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

// Generous: the machine may be busy with other tests.
export const PATIENCE = 30_000;
export const PHONE = { width: 390, height: 844 };

export const open = () => chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});

const visits = [];

// After a test, however it went: what is still signed in would hold the candidate for the next.
export async function tidy() {
  for (const context of visits.splice(0)) {
    await context.request.post(`${pageUrl}api/v1/sign-out`).catch(() => null);
    await context.close().catch(() => null);
  }
}

// A visit, with everything that the browser complained of. That the box answered "this has
// problems" is no complaint: the browser logs every answer that is no success.
export async function visit(browser, options = {}) {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: 1280, height: 900 },
    ...options,
  });
  context.setDefaultTimeout(PATIENCE);
  visits.push(context);
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => {
    const refusal = /status of (409|422) /.test(message.text());
    if (["error", "warning"].includes(message.type()) && !refusal) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("dialog", (dialog) => dialog.accept());
  const elsewhere = [];
  page.on("request", (request) => {
    if (!request.url().startsWith(pageUrl)) elsewhere.push(request.url());
  });
  await page.goto(pageUrl);
  await page.waitForSelector("#sign-in:visible");
  return { context, page, complaints, elsewhere };
}

export async function enter(page, name = user) {
  await page.fill("#name", name);
  await page.fill("#password", password);
  await page.press("#password", "Enter");
  await page.waitForSelector("#contact[data-state=on]");
}

// A session that is left holds nothing; one that is not holds the candidate for a minute more.
export async function leave({ context, page }) {
  await page.click("#sign-out");
  await page.waitForSelector("#question[open], #sign-in:visible");
  if (await page.isVisible("#question")) await page.click("#question-yes");
  await page.waitForSelector("#sign-in:visible");
  await context.close();
}

export async function turn(page, view) {
  await page.click(`#views a[href="#${view}"]`);
  await page.waitForSelector(`#view-${view}:visible`);
}

// Takes the candidate and gives the document.
export async function configure(page) {
  await turn(page, "configuration");
  await page.click("#change:enabled");
  await page.waitForFunction(() => {
    const text = document.querySelector("#text");
    return !text.readOnly && text.value !== "";
  });
  return page.inputValue("#text");
}

export async function shoot(page, name) {
  if (shots) await page.screenshot({ path: `${shots}/${name}.png` });
}

// No serious finding of axe, no scrolling sideways. Its script is run by the debugger, which no
// policy of the page binds.
export async function judge(page, what) {
  const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= room, `${what}: ${wide} > ${room}`);
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: await readFile(axe, "utf8") });
  const { result } = await session.send("Runtime.evaluate", {
    expression: "axe.run(document).then((found) => JSON.stringify(found.violations))",
    awaitPromise: true,
  });
  const serious = JSON.parse(result.value).filter((f) => ["serious", "critical"].includes(f.impact));
  const told = serious.map((f) => `${f.id}: ${f.help} (${f.nodes.map((n) => n.target).join(", ")})`);
  assert.deepEqual(told, [], what);
}
