// A person before the relay's page, on the relay itself: Chinese and English, 1366 × 768 and 1024 × 768, by the keyboard alone. Checked
// are console errors, foreign requests, barriers (axe: serious and critical), and that nothing is wider than the screen.
//
// Usage: node relay.mjs ADDRESS FOLDER PASSWORD WORD...; every WORD is on the page. By HTTPS nothing is shown without the password.
// Screenshots go to FOLDER. Prints one line of JSON: {"faults": […]}.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [address, folder, password, ...words] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const { origin } = new URL(address);
// Whoever reads the page has taken up the relay's own certificate; its handshake is a browser's here.
const known = address.startsWith("https:") ? { ignoreHTTPSErrors: true, httpCredentials: { username: "relay", password } } : {};
const faults = [];
const fault = (text) => { faults.push(text); console.error(text); };

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

async function look(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const { id, impact, nodes } of violations.filter(({ impact }) => ["serious", "critical"].includes(impact))) {
    fault(`axe ${impact}: ${id} in ${name}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
  }
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (wide > 0) fault(`${name} is ${wide} pixels too wide`);
  const small = await page.evaluate(() => [...document.querySelectorAll("main *, header *")].filter((one) => one.childElementCount === 0 && one.textContent.trim() && parseFloat(getComputedStyle(one).fontSize) < 14).map((one) => one.textContent));
  if (small.length > 0) fault(`${name}: too small to read: ${small}`);
  const text = await page.textContent("body");
  for (const word of words) if (!text.includes(word)) fault(`${name}: ${word} is not on the page`);
  await page.screenshot({ path: `${folder}/relay-${name}.png` });
}

try {
  if (address.startsWith("https:")) {
    const stranger = await browser.newContext({ ignoreHTTPSErrors: true });
    const answer = await stranger.request.get(`${origin}/`);
    if (answer.status() !== 401 || words.some((word) => answer.headersArray().join().includes(word))) fault(`${answer.status()} without the password`);
    await stranger.close();
  }
  for (const width of [1366, 1024]) {
    const context = await browser.newContext({ viewport: { width, height: 768 }, ...known });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.on("console", (message) => { if (["error", "warning"].includes(message.type())) fault(`console: ${message.text()} at ${width}`); });
    page.on("pageerror", (error) => fault(`script: ${error} at ${width}`));
    page.on("request", (request) => { if (!request.url().startsWith(`${origin}/`)) fault(`a request left the relay: ${request.url()}`); });
    const answer = await page.goto(`${origin}/`);
    if (answer.status() !== 200) fault(`${answer.status()} at ${width}`);
    // Both languages, from the one to the other by the keyboard; and the table, which is scrolled where it is too wide.
    for (let turn = 0; turn < 2; turn++) {
      const language = await page.getAttribute("html", "lang");
      await look(page, `${language.startsWith("zh") ? "zh" : "en"}-${width}`);
      await page.keyboard.press("Tab");
      if (!(await page.evaluate(() => document.activeElement.matches("header a")))) fault(`Tab does not reach the other language at ${width}`);
      await page.keyboard.press("Tab");
      if (!(await page.evaluate(() => document.activeElement.matches(".scroll")))) fault(`Tab does not reach the counters at ${width}`);
      const seen = await page.evaluate(() => { const { outlineStyle, boxShadow } = getComputedStyle(document.activeElement); return outlineStyle !== "none" || boxShadow !== "none"; });
      if (!seen) fault(`nobody sees where the keyboard is at ${width}`);
      await page.keyboard.press("Shift+Tab");
      await Promise.all([page.waitForEvent("load"), page.keyboard.press("Enter")]);
      if ((await page.getAttribute("html", "lang")) === language) fault(`the other language is not reached at ${width}`);
    }
    await context.close();
  }
} catch (error) {
  fault(String(error));
}
await browser.close();
console.log(JSON.stringify({ faults }));
