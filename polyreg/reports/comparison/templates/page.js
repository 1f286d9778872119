"use strict";
const all = [...document.querySelectorAll(".chip input")];
document.querySelector(".scripted").style.display = "block";
document.getElementById("all").onclick = () => {
  const on = !all.every(box => box.checked);
  for (const box of all) box.checked = on;
};
const digits = v => {
  const size = Math.abs(v);
  if (v === 0 || (size >= 1e-3 && size < 1e9)) return String(Number(v.toPrecision(6)));
  return v.toExponential(5).replace(/\.?0*e\+?/, "e");
};
const make = (name, parent) => {
  const made = document.createElement("div");
  made.className = name;
  made.hidden = true;
  parent.append(made);
  return made;
};
for (const plot of document.querySelectorAll(".chart .plot")) {
  const {x: [low, high, log], curves} = JSON.parse(plot.querySelector("script").textContent);
  if (!curves.length) continue;
  const rule = make("rule", plot), tip = make("tip", plot);
  let at = 0.5;
  const to = v => log ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low);
  const show = () => {
    const lines = [];
    let near = null;
    for (const [run, xs, ys, lows, highs] of curves) {
      if (run !== null && !all[run].checked) continue;
      const first = to(xs[0]), last = to(xs[xs.length - 1]);
      if (at < first - 0.02 || at > last + 0.02) continue;
      let k = 0;
      xs.forEach((v, i) => { if (Math.abs(to(v) - at) < Math.abs(to(xs[k]) - at)) k = i; });
      if (near === null || Math.abs(to(xs[k]) - at) < Math.abs(to(near) - at)) near = xs[k];
      if (ys[k] !== null) lines.push([run, ys[k], lows && lows[k], highs && highs[k], xs[k]]);
    }
    rule.hidden = tip.hidden = near === null;
    if (near === null) return;
    rule.style.left = `${100 * to(near)}%`;
    tip.replaceChildren(`at ${digits(near)}`);
    for (const [run, y, a, b, x] of lines.slice(0, 16)) {
      const line = document.createElement("div");
      if (run !== null) line.append(document.querySelector(`#k${run} svg`).cloneNode(true));
      const name = run === null ? "truth" : run + 1;
      let text = `${name}:  ${digits(y)}`;
      if (a != null && b != null) text += `  (${digits(a)} to ${digits(b)})`;
      if (x !== near && log) text += `  at ${digits(x)}`;
      line.append(text);
      tip.append(line);
    }
    if (lines.length > 16) tip.append(`and ${lines.length - 16} more`);
    const right = to(near) < 0.5;
    tip.style.left = right ? "auto" : "2%";
    tip.style.right = right ? "2%" : "auto";
  };
  const point = event => {
    const box = plot.getBoundingClientRect();
    at = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    show();
  };
  const hide = () => { rule.hidden = tip.hidden = true; };
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
