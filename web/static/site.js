// Keys, the help overlay, the slider of moments and the curves. Every page works without it.
(() => {
  "use strict";
  const one = (selector, within = document) => within.querySelector(selector);

  // Keys: one letter alone, or g and a letter after it.
  let waiting = false;
  const typing = (target) => target.closest("input, select, textarea, [contenteditable]") !== null;
  const follow = (selector) => {
    const target = one(selector);
    if (target) location.assign(target.href);
    return target !== null;
  };
  const openHelp = () => {
    const help = one("#help");
    if (help && !help.open) help.showModal();
    return help !== null;
  };
  const single = {
    "[": () => follow('a[data-key="["]'),
    "]": () => follow('a[data-key="]"]'),
    "?": openHelp,
    t: () => {
      const field = one("#as_of");
      if (field) {
        field.closest("details").open = true;
        field.focus();
      }
      return field !== null;
    },
    g: () => {
      waiting = true;
      setTimeout(() => { waiting = false; }, 1500);
      return true;
    },
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (one("dialog[open]")) return;
    const go = waiting;
    waiting = false;
    const done = go && /^[a-z]$/.test(event.key)
      ? follow(`a[data-go="${event.key}"]`)
      : Object.hasOwn(single, event.key) && single[event.key]();
    if (done) event.preventDefault();
  });

  one("[data-help]")?.addEventListener("click", (event) => {
    if (openHelp()) event.preventDefault();
  });

  // A clock or filter left empty does not have to stand in the address.
  for (const form of document.querySelectorAll('form[method="get"]')) {
    form.addEventListener("submit", () => {
      for (const input of form.elements) if (input.name && input.value === "" && input.type !== "submit") input.disabled = true;
    });
  }
  // Coming back by the browser's history, the fields can be used again.
  addEventListener("pageshow", () => {
    for (const input of document.querySelectorAll("form :disabled")) input.disabled = false;
  });

  // The slider stands for the list of moments: dragged it goes there, by keys with Enter.
  function slide(form) {
    const list = one("select", form);
    const moments = [...list.options];
    if (moments.length < 2) return;
    const last = moments.length - 1;
    const track = document.createElement("div");
    const range = document.createElement("input");
    const said = document.createElement("output");
    Object.assign(range, { type: "range", id: "moment-range", min: 0, max: last, value: list.selectedIndex });
    track.className = "track";
    track.append(range);
    moments.forEach((moment, n) => {
      if (!("mark" in moment.dataset)) return;
      const mark = document.createElement("span");
      mark.className = "mark";
      mark.style.left = `calc(${n / last} * (100% - 1.25rem) + .625rem)`;
      track.append(mark);
    });
    said.htmlFor = range.id;
    let byKey = false;
    const say = () => {
      const text = moments[range.value].text;
      range.setAttribute("aria-valuetext", text);
      said.textContent = byKey && Number(range.value) !== list.selectedIndex ? `${text}: press Enter` : text;
    };
    const go = () => {
      if (Number(range.value) === list.selectedIndex) return;
      list.selectedIndex = range.value;
      form.requestSubmit();
    };
    range.addEventListener("keydown", (event) => {
      byKey = true;
      if (event.key === "Enter") { event.preventDefault(); go(); }
    });
    range.addEventListener("pointerdown", () => { byKey = false; });
    range.addEventListener("input", say);
    range.addEventListener("change", () => { if (!byKey) go(); });
    one("label", form).htmlFor = range.id;
    list.before(track, said);
    form.classList.add("lively");
    say();
  }
  document.querySelectorAll("form.travel").forEach(slide);

  // Curves: amounts come as text and become numbers only to be drawn.
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const HEIGHT = 240;
  const charts = new Map();

  function draw(figure) {
    const data = JSON.parse(one(".curve-data", figure).textContent);
    const plot = one(".plot", figure);
    const amount = new Intl.NumberFormat("en-US", {
      minimumFractionDigits: data.decimals, maximumFractionDigits: data.decimals,
    });
    const short = new Intl.NumberFormat("en-US", { maximumFractionDigits: data.decimals });
    const axis = {
      stroke: () => colour("--pico-muted-color"),
      grid: { stroke: () => colour("--grid"), width: 1 },
      ticks: { show: false },
      font: "12px Inter, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif",
    };
    const options = {
      width: plot.clientWidth,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
      cursor: { y: false },
      scales: { y: { range: (_plot, low, high) => {
        const room = (high - low || 1) * 0.12;
        return [low - room, high + room];
      } } },
      series: [
        { label: "Time", value: (_plot, _value, _series, index) => index === null ? "–" : data.labels[index] },
        {
          label: data.name ?? "Account value",
          stroke: () => colour("--curve"),
          fill: () => colour("--curve-area"),
          width: 2,
          points: { show: data.times.length < 40, size: 5 },
          paths: data.steps ? uPlot.paths.stepped({ align: 1 }) : undefined,
          value: (_plot, value) => value === null ? "–" : amount.format(value),
        },
      ],
      axes: [
        { ...axis, size: data.steps ? 34 : 50, values: data.steps
          ? [[3600, "{HH}:{mm}", null, null, null, null, null, null, 1], [60, "{HH}:{mm}", null, null, null, null, null, null, 1], [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]]
          : [[86400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1]], incrs: data.steps ? undefined : [1, 2, 7, 14, 30, 91, 182, 365].map((days) => days * 86400) },
        { ...axis, size: 84, values: (_plot, ticks) => ticks.map((tick) => short.format(tick)) },
      ],
    };
    const chart = new uPlot(options, [data.times, data.values.map(Number)], plot);
    figure.classList.add("drawn");
    charts.set(plot, chart);
    new ResizeObserver(() => {
      if (plot.isConnected && plot.clientWidth !== chart.width) chart.setSize({ width: plot.clientWidth, height: HEIGHT });
    }).observe(plot);
  }

  const drawAll = () => {
    for (const [plot, chart] of charts) {
      if (plot.isConnected) continue; // it stood in a part that was asked for anew
      chart.destroy();
      charts.delete(plot);
    }
    if (window.uPlot) document.querySelectorAll("figure.curve:not(.drawn)").forEach(draw);
  };
  drawAll();
  document.addEventListener("htmx:afterSwap", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((chart) => chart.redraw()));
})();
