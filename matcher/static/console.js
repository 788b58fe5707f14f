// The review console's small script: keys, zoom and grid. Every page works without it.
"use strict";
(() => {
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const byId = (id) => document.getElementById(id);

  // Rows: j and k move, Enter opens.
  const rows = all("[data-row]");
  let selected = -1;
  const select = (place) => {
    if (rows.length === 0) return;
    if (selected >= 0) rows[selected].removeAttribute("aria-selected");
    selected = Math.max(0, Math.min(rows.length - 1, place));
    rows[selected].setAttribute("aria-selected", "true");
    rows[selected].querySelector("a").focus({ preventScroll: true });
    rows[selected].scrollIntoView({ block: "nearest" });
  };

  // Keys: whatever carries data-key is pressed by it.
  const press = (element) => {
    if (element.disabled || element.hidden) return;
    if (element.type === "radio") {
      element.checked = true;
      element.focus();
      const then = element.dataset.then && byId(element.dataset.then);
      if (then) then.focus();
      return;
    }
    element.click();
  };
  const writing = (element) => element.matches("textarea, select, input:not([type=radio])");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (writing(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "j" || event.key === "k") {
      if (rows.length > 0) { event.preventDefault(); select(selected + (event.key === "j" ? 1 : -1)); }
      return;
    }
    const element = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (element) { event.preventDefault(); press(element); }
  });

  // Help: the keys of this page.
  const help = byId("help"), open = byId("help-open"), list = byId("help-list");
  if (open) {
    open.hidden = false;
    open.addEventListener("click", () => {
      list.replaceChildren();
      const line = (key, text) => {
        const term = document.createElement("dt"), what = document.createElement("dd"), cap = document.createElement("kbd");
        cap.textContent = key;
        term.append(cap);
        what.textContent = text;
        list.append(term, what);
      };
      if (rows.length > 0) { line("j", list.dataset.next); line("k", list.dataset.previous); line("Enter", list.dataset.open); }
      for (const element of all("[data-key]")) {
        const label = element.closest("label") || element;
        const text = label.cloneNode(true);
        text.querySelectorAll("kbd").forEach((cap) => cap.remove());
        line(element.dataset.key, text.textContent.trim());
      }
      help.showModal();
    });
  }

  const print = byId("print");
  if (print) { print.hidden = false; print.addEventListener("click", () => window.print()); }

  // A file is read into the field that is sent.
  for (const box of all("[data-file-for]")) {
    box.hidden = false;
    box.querySelector("input").addEventListener("change", async (event) => {
      const [file] = event.target.files;
      if (file) byId(box.dataset.fileFor).value = await file.text();
    });
  }

  // Two pictures at one scale: the eyes equally far apart, zoomed and moved together.
  const pair = byId("pair");
  if (!pair) return;
  const EYES = 84;
  const views = Array.from(pair.querySelectorAll(".view")).map((view) => ({ view, img: view.querySelector("img") })).filter((item) => item.img);
  let zoom = 1, shift = { x: 0, y: 0 };
  const natural = ({ view, img }) => {
    const eyes = Number.parseFloat(img.dataset.eyes);
    const fit = Math.min(view.clientWidth / img.naturalWidth, view.clientHeight / img.naturalHeight);
    return eyes > 0 ? EYES / eyes : fit;
  };
  const place = () => {
    const ready = views.filter(({ img }) => img.naturalWidth > 0);
    // Where one picture's eyes are not known, both are fitted.
    const known = views.length === 2 && views.every(({ img }) => Number.parseFloat(img.dataset.eyes) > 0);
    for (const item of ready) {
      const { view, img } = item;
      const fit = Math.min(view.clientWidth / img.naturalWidth, view.clientHeight / img.naturalHeight);
      const scale = (known ? natural(item) : fit) * zoom;
      const width = img.naturalWidth * scale, height = img.naturalHeight * scale;
      img.classList.add("placed");
      img.style.width = `${width}px`;
      img.style.height = `${height}px`;
      img.style.left = `${(view.clientWidth - width) / 2 + shift.x}px`;
      img.style.top = `${(view.clientHeight - height) / 2 + shift.y}px`;
    }
  };
  for (const { view, img } of views) {
    if (img.complete) place(); else img.addEventListener("load", place);
    let from = null;
    view.addEventListener("pointerdown", (event) => { from = { x: event.clientX - shift.x, y: event.clientY - shift.y }; view.setPointerCapture(event.pointerId); event.preventDefault(); });
    view.addEventListener("pointermove", (event) => { if (from) { shift = { x: event.clientX - from.x, y: event.clientY - from.y }; place(); } });
    view.addEventListener("pointerup", () => { from = null; });
    view.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [24, 0], ArrowRight: [-24, 0], ArrowUp: [0, 24], ArrowDown: [0, -24] }[event.key];
      if (step) { shift = { x: shift.x + step[0], y: shift.y + step[1] }; place(); event.preventDefault(); }
    });
  }
  const zoomTo = (value) => { zoom = Math.max(0.5, Math.min(6, value)); place(); };
  byId("zoom-in").addEventListener("click", () => zoomTo(zoom * 1.25));
  byId("zoom-out").addEventListener("click", () => zoomTo(zoom / 1.25));
  byId("zoom-reset").addEventListener("click", () => { shift = { x: 0, y: 0 }; zoomTo(1); });
  byId("grid").addEventListener("click", (event) => {
    const on = pair.classList.toggle("gridded");
    event.currentTarget.setAttribute("aria-pressed", String(on));
  });
  byId("tools").hidden = false;
  window.addEventListener("resize", place);
})();
