// Reads the page again every few seconds and puts the new content in the old one's place: the keyboard stays where it is. While the
// relay gives no answer, that is said instead of showing what was.
"use strict";

const main = document.querySelector("main");
const notice = document.getElementById("no-answer");

async function again() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of ["dl", "#counters"]) {
      const [old, fresh] = [main.querySelector(part), page.querySelector(`main ${part}`)];
      if (!old || !fresh) continue;
      // The scrolled region itself stays, and with it where somebody is in it.
      const [into, from] = [old.querySelector(".scroll"), fresh.querySelector(".scroll")];
      (into && from ? into : old).replaceChildren(...(into && from ? from : fresh).childNodes);
    }
    notice.hidden = true;
  } catch {
    notice.hidden = false;
  }
}

setInterval(again, Number(main.dataset.againS) * 1000);
