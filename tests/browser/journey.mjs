// Drives the review console as people do: sign-in, thirty cases by the keyboard alone, and every page of every role in both
// languages, each checked for console errors, foreign requests and barriers (axe: serious and critical).
//
// Usage: node journey.mjs BASE PASSWORD FOLDER; screenshots go to FOLDER.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [base, password, folder] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const faults = [];
const fault = (text) => { faults.push(text); console.error(text); };

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

async function person(locale) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, locale, viewport: { width: 1366, height: 768 } });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.on("console", (message) => {
    // A refusal that was asked for is said in the console too.
    if (["error", "warning"].includes(message.type()) && !page.expectsRefusal) fault(`console: ${message.text()} at ${page.url()}`);
  });
  page.on("pageerror", (error) => fault(`script: ${error} at ${page.url()}`));
  page.on("request", (request) => { if (!request.url().startsWith(base)) fault(`a request left the center: ${request.url()}`); });
  return page;
}

async function signIn(page, name) {
  await page.goto(`${base}/sign-in`);
  // People type when they see where they are.
  const isIn = (kind) => page.waitForFunction((kind) => document.activeElement?.type === kind, kind);
  await isIn("text");
  await page.keyboard.type(name);
  await page.keyboard.press("Tab");
  await isIn("password");
  await page.keyboard.type(password);
  await Promise.all([page.waitForURL((url) => !url.pathname.startsWith("/sign-in")), page.keyboard.press("Enter")]);
}

async function look(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const { id, impact, nodes } of violations.filter(({ impact }) => ["serious", "critical"].includes(impact))) {
    fault(`axe ${impact}: ${id} at ${page.url()}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
  }
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  if (wide > 0) fault(`${page.url()} is ${wide} pixels too wide`);
  await page.waitForFunction(() => [...document.images].every((picture) => picture.complete || picture.loading === "lazy"));
  await page.screenshot({ path: `${folder}/${name}.png` });
}

async function full(page, name) {
  await page.screenshot({ path: `${folder}/${name}-full.png`, fullPage: true });
}

const press = async (page, key, until) => { await Promise.all([page.waitForURL(until), page.keyboard.press(key)]); };
const onCase = (url) => url.pathname.startsWith("/cases/");
const onQueue = (url) => url.pathname === "/queue";

// A reviewer clears a queue of thirty with the keyboard alone.
const anna = await person("en-GB");
await anna.goto(`${base}/`);
await look(anna, "en-sign-in");
await signIn(anna, "anna");
await look(anna, "en-queue");
await anna.keyboard.press("?");
await anna.waitForSelector("dialog[open]");
await look(anna, "en-keys");
await anna.keyboard.press("Escape");
// The first by j and Enter, as somebody picks one; the others as they come.
await anna.keyboard.press("j");
await anna.keyboard.press("j");
await anna.keyboard.press("k");
await press(anna, "Enter", onCase);
await look(anna, "en-case-unclaimed");
await Promise.all([anna.waitForSelector("form.judge"), anna.keyboard.press("c")]);
for (let done = 0; done < 30; done++) {
  if (done > 0) await press(anna, "g", onCase);
  await anna.waitForSelector("#tools:not([hidden])");
  await anna.waitForFunction(() => [...document.querySelectorAll(".view img")].length === 2 && [...document.querySelectorAll(".view img")].every((img) => img.naturalWidth > 0 && img.classList.contains("placed")));
  if (done === 0) {
    await look(anna, "en-case-faces");
    for (const key of ["+", "+", "x"]) await anna.keyboard.press(key);
    await look(anna, "en-case-grid");
    const sizes = await anna.evaluate(() => [...document.querySelectorAll(".view img")].map((img) => (Number(img.dataset.eyes) * img.clientWidth) / img.naturalWidth));
    if (Math.abs(sizes[0] - sizes[1]) > 1) fault(`the faces are not at one scale: ${sizes}`);
    for (const key of ["0", "x"]) await anna.keyboard.press(key);
  }
  await anna.keyboard.press(String(1 + (done % 7)));
  await Promise.all([anna.waitForSelector("#reason"), anna.keyboard.press("Enter")]);
  if (done === 0) { await look(anna, "en-case"); await full(anna, "en-case"); }
  await anna.keyboard.press(done % 10 === 0 ? "y" : "f");
  await anna.keyboard.type(`looked at with care, ${done}`);
  await press(anna, "Enter", onQueue);
}
console.log("30 cases decided");
await look(anna, "en-queue-after");
await anna.keyboard.press("/");
await anna.waitForURL((url) => url.pathname === "/search");
await look(anna, "en-search");

async function pages(page, language, name, paths) {
  await signIn(page, name);
  for (const [shot, path] of paths) {
    await page.goto(`${base}${path}`);
    await look(page, `${language}-${shot}`);
  }
}

const account = [["password", "/account/password"], ["second-factor", "/account/second-factor"]];
for (const [language, locale] of [["en", "en-GB"], ["zh", "zh-CN"]]) {
  // A second reviewer: the faces, then the case with the first verdict kept back.
  const ben = await person(locale);
  await pages(ben, language, "ben", [["queue-second", "/queue?state=second_due"], ["search", "/search"], ...account]);
  await ben.goto(`${base}/queue`);
  await press(ben, "g", onCase);
  await ben.waitForSelector(".view img.placed");
  await look(ben, `${language}-second-faces`);
  await ben.keyboard.press("2");
  await Promise.all([ben.waitForSelector("#reason"), ben.keyboard.press("Enter")]);
  await look(ben, `${language}-second-case`);
  await full(ben, `${language}-second-case`);
  const path = new URL(ben.url()).pathname;
  await ben.locator("details", { has: ben.locator("#ask") }).locator("summary").click();
  await ben.fill("#ask", language === "zh" ? "请说明当时由谁持卡。" : "Who came with this card?");
  await ben.locator("details", { has: ben.locator("#ask") }).locator("button").click();
  await ben.locator("details", { has: ben.locator("#complaint") }).locator("summary").click();
  await ben.fill("#complaint", language === "zh" ? "本人持卡。" : "I was there myself.");
  await ben.locator("details", { has: ben.locator("#complaint") }).locator("button").click();
  await ben.waitForSelector("#answer");
  await look(ben, `${language}-case-heard`);
  await ben.goto(`${base}${path}/slip`);
  await look(ben, `${language}-slip`);
  await ben.goto(`${base}${path}`);
  await ben.keyboard.press("y");
  await ben.keyboard.type("two people");
  await press(ben, "Enter", onQueue);
  await look(ben, `${language}-queue-notice`);
  ben.expectsRefusal = true;
  await ben.goto(`${base}/users`);
  await look(ben, `${language}-problem`);

  const mia = await person(locale);
  await pages(mia, language, "mia", [["store", "/store"]]);
  await mia.keyboard.press("j");
  await press(mia, "Enter", (url) => url.pathname.startsWith("/store/"));
  await look(mia, `${language}-store-case`);
  if ((await mia.locator("img").count()) > 0) fault("a store manager sees a picture");
  await mia.fill("#text", language === "zh" ? "由其子代取。" : "Her son came, with papers.");
  await mia.locator("form.box button").click();
  await mia.waitForSelector("form.box", { state: "detached" });

  const susan = await person(locale);
  await pages(susan, language, "susan", [["reviewers", "/reviewers"], ["queue-decided", "/queue?state=decided"]]);
  await susan.keyboard.press("j");
  await press(susan, "Enter", onCase);
  await look(susan, `${language}-case-decided`);

  const otto = await person(locale);
  await pages(otto, language, "otto", [["looks", "/looks?by=anna"], ["seeds", "/seeds"], ["log", "/log"]]);
  await otto.locator("main button").click();
  for (let tries = 0; tries < 100 && (await otto.locator(".notice.good").count()) === 0; tries++) {
    await otto.waitForTimeout(100);
    await otto.goto(`${base}/log`);
  }
  if ((await otto.locator(".notice.good").count()) === 0) fault("the log is not said to be whole");
  await look(otto, `${language}-log-whole`);

  const adam = await person(locale);
  await pages(adam, language, "adam", [["users", "/users"]]);
  await adam.fill("#name", `new-${language}`);
  await adam.locator("form.narrow button").click();
  await adam.waitForSelector(".secret");
  await adam.locator("summary").first().click();
  await look(adam, `${language}-users-added`);
  if (language === "zh") {
    await adam.goto(`${base}/`);
    await adam.locator(".corner a[lang=en]").click();
    if ((await adam.locator("html").getAttribute("lang")) !== "en") fault("the language did not change");
    await adam.locator(".corner form button").click();
    await adam.waitForSelector("#password");
    await look(adam, "en-signed-out");
    await adam.locator(".corner a[lang=zh]").click();
    await look(adam, "zh-sign-in");
  }
}
await browser.close();
if (faults.length > 0) {
  console.error(`${faults.length} faults`);
  process.exit(1);
}
console.log("every page was looked at");
