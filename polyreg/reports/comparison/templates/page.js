"use strict";
const one = pattern => document.querySelector(pattern);
const every = pattern => [...document.querySelectorAll(pattern)];
const all = every(".tick input"), seeds = every(".chip .open input");
const digits = v => {
  const size = Math.abs(v);
  if (v === 0 || (size >= 1e-3 && size < 1e9)) return String(Number(v.toPrecision(6)));
  return v.toExponential(5).replace(/\.?0*e\+?/, "e");
};
const make = (kind, parent, name = "div") => {
  const made = document.createElement(name);
  made.className = kind;
  parent.append(made);
  return made;
};

// What is ticked, in the labels that several curves share and at what shows one group alone.
const shared = every(".end.shared");
for (const label of shared) label.dataset.whole = label.textContent;
const isAlone = group => all.every((box, k) => box.checked === (k === group));
const update = () => {
  for (const label of shared) {
    const groups = label.dataset.groups.split(" "), shown = groups.filter(k => all[k].checked);
    const numbers = shown.map(k => Number(k) + 1);
    label.hidden = !shown.length;
    label.title = numbers.join(", ");
    label.className = shown.length === 1 ? `end lone s${shown[0]}` : "end shared";
    label.textContent = shown.length === groups.length ? label.dataset.whole
      : `${numbers[0]}${shown.length > 1 ? ` +${shown.length - 1}` : ""}`;
  }
  const alone = all.filter(box => box.checked).length === 1 ? all.findIndex(box => box.checked) : -1;
  document.body.classList.toggle("alone", alone >= 0);
  for (const pick of every("[data-group]")) {
    const isPicked = Number(pick.dataset.group) === alone;
    pick.classList.toggle("picked", isPicked);
    if (pick.matches(".pick")) pick.setAttribute("aria-pressed", isPicked);
  }
};
for (const box of all) box.addEventListener("change", update);
const turn = (boxes, isOn) => {
  for (const [k, box] of boxes.entries()) box.checked = isOn(k);
  update();
};
for (const [id, boxes] of [["all", all], ["each", seeds]]) {
  const button = document.getElementById(id);
  if (button) button.onclick = () => {
    const isOn = !boxes.every(box => box.checked);
    turn(boxes, () => isOn);
  };
}
for (const item of every(".scripted")) item.style.display = "inline-flex";

// A combination of a sweep: its curves alone, or all again.
const pick = group => {
  const back = isAlone(group);
  turn(all, k => back || k === group);
  const fold = document.getElementById("fold");
  if (fold) fold.checked = false;
  if (back) return;
  const curves = document.getElementById("curves"), chip = document.getElementById(`k${group}`);
  if (curves) curves.scrollIntoView();
  one(".chips").scrollTop += chip.getBoundingClientRect().top - one(".chips").getBoundingClientRect().top - 3;
};
for (const label of every(".pick")) {
  label.tabIndex = 0;
  label.setAttribute("role", "button");
  label.addEventListener("keydown", event => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    pick(Number(label.dataset.group));
  });
}
for (const item of every("tr[data-group], td > .pick")) {
  item.addEventListener("click", event => {
    event.preventDefault();
    if (!String(getSelection())) pick(Number(item.dataset.group));
  });
}

// The bar of names: as high as it is, sections stop below it; folded only where it does not fit.
const bar = one("nav"), fold = document.getElementById("fold");
const measure = () => {
  document.documentElement.style.scrollPaddingTop = `${bar.offsetHeight + 8}px`;
  const chips = one(".chips"), fits = chips.scrollHeight <= chips.clientHeight + 2;
  if (fold && !fold.checked) fold.parentElement.hidden = fits;
};
new ResizeObserver(measure).observe(bar);
if (fold) fold.addEventListener("change", measure);

// What a pointer reads: few lines, of many curves the nearest ones, inside the window.
const ceiling = () => Math.max(0, bar.getBoundingClientRect().bottom) + 4;
const limit = () => Math.max(3, Math.min(innerWidth < 600 ? 8 : 12, (innerHeight - ceiling() - 60) / 20 | 0));
for (const plot of every(".chart .plot")) {
  const {x: [low, high, log], y: [bottom, top, isLog], grids, curves} = JSON.parse(plot.querySelector("script").textContent);
  if (!curves.length) continue;
  const rule = make("rule", plot), tip = make("tip", plot);
  const hide = () => { rule.hidden = tip.hidden = true; };
  hide();
  let at = 0.5, height = null;
  const along = (v, a, b, log) => log ? Math.log(v / a) / Math.log(b / a) : (v - a) / (b - a);
  const to = v => along(v, low, high, log);
  const away = line => Math.abs(along(line[1], bottom, top, isLog) - height);
  const show = () => {
    const lines = [];
    let near = null;
    for (const [group, grid, ys, lows, highs] of curves) {
      if (group !== null && !all[group].checked) continue;
      const xs = grids[grid], first = to(xs[0]), last = to(xs[xs.length - 1]);
      if (at < first - 0.02 || at > last + 0.02) continue;
      let k = 0;
      xs.forEach((v, i) => { if (Math.abs(to(v) - at) < Math.abs(to(xs[k]) - at)) k = i; });
      if (near === null || Math.abs(to(xs[k]) - at) < Math.abs(to(near) - at)) near = xs[k];
      if (ys[k] !== null) lines.push([group, ys[k], lows && lows[k], highs && highs[k], xs[k]]);
    }
    rule.hidden = tip.hidden = near === null;
    if (near === null) return;
    rule.style.left = `${100 * to(near)}%`;
    tip.replaceChildren();
    make("at", tip).textContent = `at ${digits(near)}`;
    if (lines.length > limit() && height !== null) lines.sort((a, b) => away(a) - away(b));
    tip.classList.toggle("many", lines.length > 4);
    for (const [group, y, a, b, x] of lines.slice(0, limit())) {
      const line = make("told", tip);
      line.append(one(group === null ? ".truth-key" : `#k${group} .key`).cloneNode(true));
      make("number", line, "b").textContent = group === null ? "" : group + 1;
      const said = make("said", line);
      let text = digits(y);
      if (a != null && b != null) text += `  (${digits(a)} to ${digits(b)})`;
      if (x !== near && log) text += `  at ${digits(x)}`;
      make("value", said, "span").textContent = text;
      make("name", said, "span").textContent = group === null ? "truth" : one(`#k${group} .name`).textContent;
    }
    if (lines.length > limit()) tip.append(`and ${lines.length - limit()} more`);
    const right = to(near) < 0.5;
    tip.style.left = right ? "auto" : "2%";
    tip.style.right = right ? "2%" : "auto";
    tip.style.top = "";
    const box = tip.getBoundingClientRect(), lowest = innerHeight - 6 - box.height;
    if (box.top > lowest || box.top < ceiling()) {
      tip.style.top = `${Math.max(ceiling(), Math.min(box.top, lowest)) - plot.getBoundingClientRect().top}px`;
    }
  };
  const point = event => {
    const box = plot.getBoundingClientRect();
    at = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    height = 1 - (event.clientY - box.top) / box.height;
    show();
  };
  plot.addEventListener("pointermove", point);
  plot.addEventListener("pointerdown", point);
  plot.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") hide(); });
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", event => {
    const step = {ArrowLeft: -0.02, ArrowRight: 0.02}[event.key];
    if (event.key === "Escape") hide();
    if (!step) return;
    event.preventDefault();
    at = Math.min(1, Math.max(0, at + step));
    show();
  });
}
update();
