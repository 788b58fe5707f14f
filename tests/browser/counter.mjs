// People before the counter's screen: four browsers at a time (Chinese and English, 1366 × 768 and 1024 × 768) that follow one agent.
// What happens at the counter is the caller's doing; it says on standard input, one JSON object a line, what is to be done or looked
// at here, and gets one line back for each. Everything is checked for console errors, foreign requests, barriers (axe: serious and
// critical), and whether it fits and can be read from afar.
//
// Usage: node counter.mjs FOLDER; screenshots go to FOLDER.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [folder] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const faults = [];
const fault = (text) => { faults.push(text); console.error(text); };
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const LOOKS = [["zh", 1366], ["en", 1366], ["zh", 1024], ["en", 1024]];

async function person(base, width, name) {
  const context = await browser.newContext({ viewport: { width, height: 768 }, hasTouch: width === 1024 });
  // A machine with a voice of its own and one that sends words away; what is said is written down.
  await context.addInitScript(() => {
    window.spoken = [];
    const voices = [{ lang: "zh-CN", localService: false, name: "afar" }, { lang: "zh-CN", localService: true, name: "here" }, { lang: "en-GB", localService: true, name: "here" }];
    Object.defineProperty(window, "speechSynthesis", { value: { getVoices: () => voices, cancel() {}, speak: ({ text, voice }) => window.spoken.push([text, voice.name, voice.localService]), addEventListener() {} } });
    window.SpeechSynthesisUtterance = class { constructor(text) { this.text = text; } };
  });
  const page = await context.newPage();
  page.setDefaultTimeout(25_000);
  page.name = name;
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !page.expectsRefusal) fault(`console: ${message.text()} on ${name}`);
  });
  page.on("pageerror", (error) => fault(`script: ${error} on ${name}`));
  page.on("request", (request) => { if (!request.url().startsWith(base) && !page.expectsRefusal) fault(`a request left the counter: ${request.url()}`); });
  return page;
}

async function barriers(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const { id, impact, nodes } of violations.filter(({ impact }) => ["serious", "critical"].includes(impact))) {
    fault(`axe ${impact}: ${id} in ${name}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
  }
}

// Everything is in sight, nothing overlaps, and the instruction is large.
async function fits(page, name) {
  const measured = await page.evaluate(() => {
    const box = (selector) => document.querySelector(selector)?.getBoundingClientRect();
    const size = (id) => { const { width, height } = document.getElementById(id)?.getBoundingClientRect() ?? {}; return width && [Math.round(width), Math.round(height)]; };
    const words = box(".words"), main = box("main"), footer = box("footer"), stage = box("#stage"), view = box(".view");
    return {
      wide: document.documentElement.scrollWidth - innerWidth, tall: document.documentElement.scrollHeight - innerHeight,
      says: parseFloat(getComputedStyle(document.querySelector(".says")).fontSize),
      above: Math.round(words.top - main.top), below: Math.round(main.bottom - words.bottom), end: Math.round(innerHeight - footer.bottom), side: Math.round(stage.right - words.right),
      view: Math.round(main.bottom - view.bottom), camera: size("begin") ?? size("again"), other: size("other-way"),
      small: [...document.querySelectorAll("button, .display a")].filter((one) => one.offsetParent && one.getBoundingClientRect().height < 48).map((one) => one.textContent.trim()),
    };
  });
  const { wide, tall, says, above, below, end, side, view, camera, other, small } = measured;
  if (wide > 0 || tall > 0 || above < 0 || below < 0 || end < 0 || side < 0 || view < 0) fault(`${name} does not fit: ${JSON.stringify(measured)}`);
  if (says < 48) fault(`${name}: the instruction is ${says} pixels high`);
  if (camera && (!other || Math.abs(camera[0] - other[0]) > 2 || Math.abs(camera[1] - other[1]) > 2)) fault(`${name}: the camera's button is ${camera}, the other way's ${other}`);
  if (small.length > 0) fault(`${name}: too small to touch: ${small}`);
}

const people = [];
const isIn = (page, state) => page.waitForFunction((state) => document.body.dataset.state === state && document.getElementById("away").hidden, state);
const everybody = (what) => Promise.all(people.map(what));

const tasks = {
  // Nobody looks any more.
  async leave() {
    for (const page of people.splice(0)) await page.context().close();
  },
  // Opens the screens, each with a link of its own.
  async enter({ base, links }) {
    await tasks.leave();
    for (const [language, width] of LOOKS) {
      const page = await person(base, width, `${language}-${width}`);
      await page.goto(readFileSync(links, "utf8").trim());
      if (new URL(page.url()).pathname !== "/screen") fault(`the link led to ${page.url()}`);
      await page.goto(`${base}/screen/display?as=${language}`);
      people.push(page);
    }
  },
  // Waits for a state on every screen, and looks at it; closely where there is time.
  async look({ state, closely, shot }) {
    await everybody((page) => isIn(page, state));
    await everybody(async (page) => {
      await fits(page, `${state} on ${page.name}`);
      await page.screenshot({ path: `${folder}/counter-live-${shot ?? state}-${page.name}.png` });
    });
    if (closely) await Promise.all([0, 3].map((who) => barriers(people[who], `${state} on ${people[who].name}`)));
  },
  async note({ says }) { await people[0].waitForFunction((says) => document.getElementById("note").textContent === says, says); },
  async wait({ state }) { await everybody((page) => isIn(page, state)); },
  async press({ keys, who = 0 }) { for (const key of keys) await people[who].keyboard.press(key); },
  async type({ text }) { await people[0].keyboard.type(text); },
  async focus({ id }) { await people[0].waitForFunction((id) => document.activeElement?.id === id, id); },
  // By a finger where the screen feels one.
  async touch({ selector, who }) { await people[who].tap(selector); },
  async click({ selector, who = 0 }) { await people[who].click(selector); },
  // Tabs until something is in focus, as people do who have no mouse.
  async tab({ until }) {
    for (let tries = 0; tries < 30; tries++) {
      if (await people[0].evaluate((until) => document.activeElement?.matches(until), until)) return;
      await people[0].keyboard.press("Tab");
    }
    fault(`Tab does not reach ${until}`);
  },
  async dialog({ name, shot }) {
    await people[0].waitForSelector(`dialog#${name}[open]`);
    await barriers(people[0], `dialog ${name}`);
    await people[0].screenshot({ path: `${folder}/counter-live-${shot ?? name}-dialog.png` });
  },
  async text({ selector, who = 0 }) { return people[who].textContent(selector); },
  // Whether the screens show what the camera sees, or nothing of it.
  async picture({ shown }) {
    if (shown) await everybody((page) => page.waitForFunction(() => document.getElementById("picture")?.naturalWidth > 0));
    else await everybody((page) => page.waitForFunction(() => document.querySelector("img") === null));
  },
  async voice() {
    const page = people[0];
    await page.click("#voice");
    await page.waitForFunction(() => document.body.dataset.voice === "on");
  },
  async spoken() { return people[0].evaluate(() => window.spoken); },
  async large() {
    await people[1].click("#large");
    await people[1].waitForFunction(() => document.documentElement.classList.contains("large"));
    await people[1].reload();
    if (!(await people[1].evaluate(() => document.documentElement.classList.contains("large")))) fault("large type is not remembered");
  },
  // The program went away: the screens say so, and blame nobody.
  async away() {
    await everybody((page) => { page.expectsRefusal = true; return page.waitForFunction(() => !document.getElementById("away").hidden); });
    await people[0].screenshot({ path: `${folder}/counter-live-away-zh-1366.png` });
  },
  // A patient's walk: from the swipe to the verdict on the screen; by a touch of the cashier, or by the till's software alone.
  async walk({ base, token, card, transaction, touch, state }) {
    const [page] = people;
    const call = async (path, body) => {
      const answer = await fetch(`${base}/v1/transactions${path}`, { method: "POST", body: JSON.stringify(body), headers: { authorization: `Bearer ${token}`, "content-type": "application/json" } });
      if (!answer.ok) fault(`${path}: ${answer.status} ${await answer.text()}`);
    };
    await page.evaluate(() => {
      Object.assign(window, { touches: 0, states: [] });
      const touched = ({ isTrusted }) => { if (isTrusted) window.touches++; };
      for (const kind of ["keydown", "pointerdown"]) document.addEventListener(kind, touched, true);
      new MutationObserver(() => { const { state } = document.body.dataset; if (window.states.at(-1) !== state) window.states.push(state); }).observe(document.body, { attributeFilter: ["data-state"] });
    });
    const swiped = performance.now();
    await call("", { transaction, scene: "settlement", card, opened_by: "card_swipe", operator: "0417" });
    const answered = touch ? null : call(`/${transaction}/attempts`, {});
    if (touch) {
      await isIn(page, "ready");
      await page.keyboard.press("F2");
    }
    await isIn(page, state);
    const ms = Math.round(performance.now() - swiped);
    await answered;
    await page.screenshot({ path: `${folder}/counter-walk-${transaction}.png` });
    return { ms, ...(await page.evaluate(() => ({ touches: window.touches, states: window.states }))) };
  },
  // Every state there is, drawn by the page's own templates.
  async gallery({ base, states }) {
    for (const [language, width] of LOOKS) {
      const page = await person(base, width, `${language}-${width}`);
      for (const state of states) {
        const name = `${state}-${language}-${width}`;
        await page.goto(`${base}/screen?state=${state}&as=${language}`);
        await fits(page, name);
        await barriers(page, name);
        await page.screenshot({ path: `${folder}/counter-${name}.png` });
        await page.evaluate(() => document.documentElement.classList.add("large"));
        await fits(page, `${name} in large type`);
      }
      await page.context().close();
    }
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const task = JSON.parse(line);
  let said = null;
  try {
    said = await tasks[task.do](task);
  } catch (error) {
    fault(`${line}: ${error}; shown: ${await Promise.all(people.map((page) => page.evaluate(() => document.body.dataset.state).catch(() => "?")))}`);
  }
  console.log(JSON.stringify({ said: said ?? null, faults: faults.splice(0) }));
}
await browser.close();
