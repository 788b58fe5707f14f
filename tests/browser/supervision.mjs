// Drives the review console as a supervisor and an auditor do: the supervisor finds the camera that drifts and the store that was
// bad from the start, tries a policy and takes a table; the auditor proves who saw a face and that the log is whole. Every page
// is checked for console errors, foreign requests and barriers (axe: serious and critical), in both languages.
//
// Usage: node supervision.mjs BASE PASSWORD FOLDER; screenshots go to FOLDER.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [base, password, folder] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const faults = [];
const fault = (text) => { faults.push(text); console.error(text); };

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

async function person(name, locale) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, locale, viewport: { width: 1366, height: 768 } });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) fault(`console: ${message.text()} at ${page.url()}`); });
  page.on("pageerror", (error) => fault(`script: ${error} at ${page.url()}`));
  page.on("request", (request) => { if (!request.url().startsWith(base)) fault(`a request left the center: ${request.url()}`); });
  await page.goto(`${base}/sign-in`);
  await page.fill("#name", name);
  await page.fill("#password", password);
  await Promise.all([page.waitForURL((url) => !url.pathname.startsWith("/sign-in")), page.keyboard.press("Enter")]);
  return page;
}

async function look(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const { id, impact, nodes } of violations.filter(({ impact }) => ["serious", "critical"].includes(impact))) {
    fault(`axe ${impact}: ${id} at ${page.url()}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
  }
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  if (wide > 0) fault(`${page.url()} is ${wide} pixels too wide`);
  await page.screenshot({ path: `${folder}/${name}.png` });
  await page.screenshot({ path: `${folder}/${name}-full.png`, fullPage: true });
}

const follow = (page, locator, until) => Promise.all([page.waitForURL(until), locator.click()]);
const at = (path) => (url) => url.pathname === path;

// A reviewer looks at two faces, which is what the auditor is to prove.
const anna = await person("anna", "en-GB");
await anna.keyboard.press("j");
await Promise.all([anna.waitForURL((url) => url.pathname.startsWith("/cases/")), anna.keyboard.press("Enter")]);
await Promise.all([anna.waitForSelector("form.judge"), anna.keyboard.press("c")]);
await anna.waitForFunction(() => [...document.querySelectorAll(".view img")].every((img) => img.naturalWidth > 0));
const seenCase = new URL(anna.url()).pathname.split("/").pop();
const seenFace = await anna.evaluate(() => document.querySelector(".view img").getAttribute("src").split("/").pop());

for (const [language, locale] of [["en", "en-GB"], ["zh", "zh-CN"]]) {
  const susan = await person("susan", locale);
  // The camera: from the list of alarms by the keyboard to its chart.
  await follow(susan, susan.locator("nav a[href='/drift']"), at("/drift"));
  await look(susan, `${language}-drift`);
  const rows = await susan.locator("tr[data-row] th").allTextContents();
  if (!rows.some((row) => row.includes("S03-till"))) fault(`the drifting camera is not among the alarms: ${rows}`);
  await susan.keyboard.press("j");
  await Promise.all([susan.waitForURL(at("/drift/chart")), susan.keyboard.press("Enter")]);
  await susan.goto(`${base}/drift/chart?by=camera&store=S03&item=S03-till`);
  if ((await susan.locator("path.alarm").count()) === 0) fault("no alarm is drawn");
  await susan.locator("details", { has: susan.locator("#from-score") }).locator("summary").click();
  await look(susan, `${language}-chart`);
  if (language === "en") console.log("the drifting camera was found");

  // The store: outside the funnel, and so from the first day.
  await follow(susan, susan.locator("nav a[href='/peers']"), at("/peers"));
  await look(susan, `${language}-peers`);
  const outside = await susan.locator("tr[data-row]").allTextContents();
  if (outside.length !== 1 || !outside[0].includes("S07")) fault(`not the store that was bad from the start: ${outside}`);
  if (!outside[0].includes(language === "en" ? "so from the first day" : "一开始就如此")) fault(`its course is not said: ${outside}`);
  if (language === "en") console.log("the store that was bad from the start was found");

  await follow(susan, susan.locator("nav a[href='/figures']"), at("/figures"));
  await look(susan, `${language}-figures`);
  for (const by of ["camera", "operator", "scene", "hour", "age"]) {
    await susan.goto(`${base}/figures?by=${by}&days=30`);
    await look(susan, `${language}-figures-${by}`);
  }
  await follow(susan, susan.locator("nav a[href='/policies']"), at("/policies"));
  await look(susan, `${language}-policies`);
  await follow(susan, susan.locator("tr[data-row] a").first(), (url) => url.pathname.startsWith("/policies/"));
  await look(susan, `${language}-policy`);
  await susan.goto(`${base}/policies`);
  await Promise.all([susan.waitForURL(at("/policy-trial")), susan.keyboard.press("t")]);
  await susan.locator("form.box button.primary").click();
  for (let tries = 0; tries < 300 && (await susan.locator("dl.sums").count()) === 0; tries++) {
    await susan.waitForTimeout(100);
    await susan.goto(`${base}/policy-trial`);
  }
  await look(susan, `${language}-trial`);
  await follow(susan, susan.locator("nav a[href='/face-search']"), at("/face-search"));
  await look(susan, `${language}-face-search`);
  await follow(susan, susan.locator("nav a[href='/exports']"), at("/exports"));
  await look(susan, `${language}-exports`);
  await susan.fill("#reason", language === "zh" ? "月报" : "the month's report");
  const [download] = await Promise.all([susan.waitForEvent("download"), susan.locator("form.narrow button").click()]);
  const table = readFileSync(await download.path(), "utf8");
  if (!table.includes("S07") || !table.startsWith("\ufeffday,")) fault(`the table is not what was asked for: ${table.slice(0, 200)}`);

  // The auditor: who saw this face, and whether the log is whole.
  const otto = await person("otto", locale);
  await otto.goto(`${base}/looks`);
  await otto.fill("input[name=about]", seenFace);
  await Promise.all([otto.waitForURL((url) => url.search.includes(seenFace)), otto.locator("form.filters button").click()]);
  const looks = await otto.locator("tbody tr").allTextContents();
  if (looks.length === 0 || !looks.every((row) => row.includes("anna") && row.includes(seenCase))) fault(`who saw the face is not said: ${looks}`);
  if (!/[0-9a-f]{8} \d+/.test(looks[0])) fault(`its place in the log is not said: ${looks[0]}`);
  await look(otto, `${language}-looks`);
  await otto.goto(`${base}/log`);
  await otto.locator("main button").click();
  for (let tries = 0; tries < 100 && (await otto.locator(".notice.good").count()) === 0; tries++) {
    await otto.waitForTimeout(100);
    await otto.goto(`${base}/log`);
  }
  if ((await otto.locator(".notice.good").count()) === 0) fault("the log is not said to be whole");
  await look(otto, `${language}-log-proved`);
  for (const [shot, path] of [["drift-auditor", "/drift"], ["policies-auditor", "/policies"]]) {
    await otto.goto(`${base}${path}`);
    await look(otto, `${language}-${shot}`);
  }
  if (language === "en") console.log("the look was found and the log is whole");
}

// A report of the case, once it is decided: with digests, without a face.
await anna.keyboard.press("6");
await Promise.all([anna.waitForSelector("#reason"), anna.keyboard.press("Enter")]);
await anna.keyboard.press("f");
await anna.keyboard.type("the same person");
await Promise.all([anna.waitForURL(at("/queue")), anna.keyboard.press("Enter")]);
const susan = await person("susan", "en-GB");
await susan.goto(`${base}/cases/${seenCase}`);
const report = susan.locator(`a[href='/cases/${seenCase}/report']`);
{
  await follow(susan, report, at(`/cases/${seenCase}/report`));
  if ((await susan.locator("img").count()) > 0) fault("a report shows a picture");
  await look(susan, "en-report");
  await susan.emulateMedia({ media: "print" });
  await susan.screenshot({ path: `${folder}/en-report-print.png`, fullPage: true });
}
await browser.close();
if (faults.length > 0) {
  console.error(`${faults.length} faults`);
  process.exit(1);
}
console.log("every page of supervision was looked at");
