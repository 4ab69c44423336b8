// The console's own script: the viewer's time zone, pages that come back by themselves. No eval, nothing inline.
"use strict";

(() => {
  const COOKIE = "accesstrail_zone";

  // Tells the server the browser's time zone once; a zone that the viewer chose stays.
  function tellZone() {
    if (document.cookie.split("; ").some((one) => one.startsWith(COOKIE + "="))) return;
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (!zone || !/^[A-Za-z0-9_+\-\/]{1,64}$/.test(zone)) return;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${COOKIE}=${zone}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  }

  // A page that could not be shown is asked for again until it can.
  function retry() {
    const block = document.querySelector("[data-retry]");
    if (!block) return;
    const again = async () => {
      try {
        const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
        if (answer.status !== 503 && answer.status !== 429) { location.reload(); return; }
      } catch { /* the console itself is away: go on asking */ }
      setTimeout(again, 4000);
    };
    setTimeout(again, 4000);
  }

  // The verdict, as the server sends it; the browser connects again by itself.
  function watch() {
    const block = document.querySelector("[data-live]");
    if (!block) return;
    const events = new EventSource(block.dataset.live);
    events.addEventListener("verdict", (event) => {
      if (block.dataset.last === event.data) return;
      block.dataset.last = event.data;
      block.innerHTML = event.data;
    });
    events.addEventListener("over", () => { events.close(); location.reload(); });
    addEventListener("pagehide", () => events.close());
  }

  // Charts: lines over time, colours that differ in lightness too, the viewer's time zone.
  const LIGHT = ["#0b57b0", "#a84300", "#17653a", "#7a2e8f", "#555d68", "#a3122a"];
  const DARK = ["#8ab8f5", "#ffab6b", "#7fd6a2", "#d6a3ea", "#c2c9d1", "#ff9aa3"];
  const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3], [12, 4], [4, 2]];

  function draw(block) {
    if (block.dataset.drawn || typeof uPlot === "undefined") return;
    block.dataset.drawn = "1";
    const given = JSON.parse(block.dataset.chart);
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const colours = dark ? DARK : LIGHT;
    const soft = getComputedStyle(document.documentElement).getPropertyValue("--soft").trim();
    const line = getComputedStyle(document.documentElement).getPropertyValue("--line").trim();
    const long = given.range[1] - given.range[0] > 2 * 86400;
    const words = new Intl.DateTimeFormat(document.documentElement.lang, {
      timeZone: block.dataset.zone, hourCycle: "h23",
      ...(long ? { month: "2-digit", day: "2-digit" } : { hour: "2-digit", minute: "2-digit" }),
    });
    const whole = new Intl.DateTimeFormat(document.documentElement.lang, {
      timeZone: block.dataset.zone, hourCycle: "h23", dateStyle: "short", timeStyle: "short",
    });
    const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    const options = {
      width: Math.max(220, block.clientWidth), height: 200,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), block.dataset.zone),
      scales: { x: { range: () => given.range }, y: { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.05 : 1] } },
      axes: [{ ...axis, values: (_, at) => at.map((one) => words.format(one * 1000)) }, { ...axis, size: 56 }],
      series: [{ label: block.dataset.time, value: (_, at) => at == null ? "–" : whole.format(at * 1000) }, ...given.names.map((name, at) => ({
        label: name, stroke: colours[at % colours.length], dash: DASHES[at % DASHES.length], width: 2,
        points: { show: given.x.length < 30 }, spanGaps: false,
      }))],
    };
    const chart = new uPlot(options, [given.x, ...given.lines], block);
    new ResizeObserver(() => chart.setSize({ width: Math.max(220, block.clientWidth), height: 200 })).observe(block);
  }

  const drawAll = (root) => root.querySelectorAll("[data-chart]").forEach(draw);

  tellZone();
  document.addEventListener("DOMContentLoaded", () => { retry(); watch(); drawAll(document); });
  document.addEventListener("htmx:afterSwap", (event) => drawAll(event.target));
})();
