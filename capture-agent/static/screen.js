// Keeps the screen current: takes the parts that changed, shows the camera's picture while there is one, speaks where a voice is
// wanted and the machine has one, and lets function keys press buttons. Everything it shows was made by the program.
"use strict";

const byId = (id) => document.getElementById(id);
const body = document.body;
let said = byId("stage").querySelector(".says")?.textContent ?? "";

// The changed parts.
function take(part, html) {
  const place = byId(part);
  if (place.dataset.html === html) return;
  const picture = part === "stage" ? byId("picture") : null;
  const focused = place.contains(document.activeElement) ? document.activeElement.id : null;
  place.dataset.html = html;
  place.innerHTML = html;
  // The picture goes on while only the words change.
  const fresh = part === "stage" ? byId("picture") : null;
  if (picture && fresh) fresh.replaceWith(picture);
  if (focused !== null) (byId(focused) ?? byId("main")).focus();
}

function changed({ state, live, say, status, stage, actions }) {
  take("status", status);
  take("stage", stage);
  take("actions", actions);
  if (body.dataset.state !== state) byId("note").textContent = "";
  body.dataset.state = state;
  showPicture(live);
  for (const name of ["document", "proxy"]) if (!byId(`${name}-open`) && byId(name).open) byId(name).close();
  if (say !== said) speak(say);
  said = say;
}

// The picture, one frame after another, while somebody is being looked at.
let number = 0;
function showPicture(live) {
  const picture = byId("picture");
  if (!live || !picture || picture.dataset.runs) return;
  picture.dataset.runs = "yes";
  const next = () => { if (byId("picture") === picture) picture.src = `/screen/picture?${++number}`; };
  picture.addEventListener("load", () => setTimeout(next, 80));
  picture.addEventListener("error", () => { picture.removeAttribute("src"); setTimeout(next, 150); });
  next();
}

// A voice of this machine alone: others send the words away.
const voiceOf = () => window.speechSynthesis?.getVoices().find(({ localService, lang }) => localService && lang.toLowerCase().startsWith(document.documentElement.lang));
function speak(text) {
  const voice = body.dataset.voice === "on" ? voiceOf() : undefined;
  if (!voice) return;
  speechSynthesis.cancel();
  const spoken = new SpeechSynthesisUtterance(text);
  spoken.voice = voice;
  spoken.lang = voice.lang;
  spoken.rate = 0.9;
  speechSynthesis.speak(spoken);
}
const offerVoice = () => { byId("voice").hidden = !voiceOf(); };
window.speechSynthesis?.addEventListener?.("voiceschanged", offerVoice);
offerVoice();

// Windows.
function open(name) {
  const dialog = byId(name);
  if (dialog.open) return;
  for (const other of document.querySelectorAll("dialog[open]")) other.close();
  const running = document.querySelector("#actions [data-transaction]");
  for (const field of dialog.querySelectorAll("input[data-transaction]")) field.value = running?.dataset.transaction ?? "";
  for (const field of dialog.querySelectorAll("[data-operator]")) field.hidden = running?.dataset.operatorKnown === "true";
  dialog.showModal();
}

document.addEventListener("click", ({ target }) => {
  const opener = target.closest("[data-opens]");
  if (opener) open(opener.dataset.opens);
});

// What is done goes to the program; what it comes to comes back as events.
document.addEventListener("submit", async (event) => {
  const { target: form, submitter } = event;
  if (form.method === "dialog") return;
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(form, submitter));
  if (submitter) submitter.disabled = true;
  const buttons = [...form.querySelectorAll("button")];
  try {
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body: fields });
    const note = answer.status === 200 ? await answer.text() : "";
    byId("note").textContent = note;
    const dialog = form.closest("dialog");
    if (dialog) { dialog.close(); form.reset(); }
  } catch {
    // The program is away, which the events tell.
  }
  for (const button of buttons) button.disabled = false;
});

// Keys. Card readers and scanners type like people, only faster: Enter behind their digits presses nothing.
let typedAt = -Infinity;
document.addEventListener("keydown", (event) => {
  const field = event.target.closest("input, select, textarea");
  if (event.key.length === 1 && event.key !== " " && !field) typedAt = event.timeStamp;
  if (event.key === "Enter" && !field && event.timeStamp - typedAt < 200) event.preventDefault();
  // What somebody says about a document is pressed, never sent along by the Enter behind a name.
  if (event.key === "Enter" && field?.form?.elements.same_person) event.preventDefault();
  if (!/^F\d+$/.test(event.key) || event.ctrlKey || event.altKey || event.metaKey) return;
  const button = document.querySelector(`[data-key="${event.key}"]`);
  if (!button) return;
  event.preventDefault();
  if (!event.repeat && !document.querySelector("dialog[open]")) button.click();
});

// The events. A browser connects again by itself; where the door is shut the page says how to open it.
function follow() {
  const events = new EventSource("/screen/events");
  events.addEventListener("screen", ({ data }) => { byId("away").hidden = true; changed(JSON.parse(data)); });
  events.addEventListener("error", () => {
    byId("away").hidden = false;
    byId("picture")?.removeAttribute("src");
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, 2000);
  });
}
follow();
