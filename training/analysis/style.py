"""The style sheet of the report's page: that of the service's pages, as far as it is needed."""

CSS = """
:root {
  color-scheme: light dark;
  --page: light-dark(#f6f6f3, #131519);
  --card: light-dark(#ffffff, #1a1d23);
  --ink: light-dark(#1d2025, #e7e9ed);
  --quiet: light-dark(#5d636e, #a0a7b3);
  --line: light-dark(#e3e3de, #2c3139);
  --accent: light-dark(#2450b8, #93b4ff);
  --wash: light-dark(#eef2fc, #1d2638);
  --bad: light-dark(#a3261b, #ffa198);
  --bad-wash: light-dark(#fdf3f1, #2b1c1d);
  --hue-0: light-dark(#1f55b5, #94b9ff);
  --hue-1: light-dark(#0a6a4b, #62d0a5);
  --hue-2: light-dark(#984600, #f5ad70);
  --hue-3: light-dark(#7438a6, #cdaaff);
  --hue-4: light-dark(#a02461, #f7a0c8);
  --hue-5: light-dark(#655600, #d8c463);
  --hue-6: light-dark(#0b637a, #74cfe3);
  --hue-7: light-dark(#565b65, #b4bac5);
}
* { box-sizing: border-box; min-width: 0; }
html { text-size-adjust: 100%; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.55 "Inter", "SF Pro Text", "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC",
    "PingFang SC", "Microsoft YaHei", system-ui, sans-serif;
}
h1, h2, p, ul, ol, dl, dd, figure { margin: 0; padding: 0; }
h1 {
  font-size: clamp(1.6rem, 1.2rem + 1.6vw, 2.2rem); font-weight: 650; line-height: 1.15;
  letter-spacing: -0.02em;
}
h2 { font-size: 1.05rem; font-weight: 650; line-height: 1.3; }
.quiet { color: var(--quiet); font-size: 0.875rem; }
code { font: 0.88em ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
main {
  max-width: 76rem; margin: 0 auto; padding: 2rem clamp(1rem, 3vw, 2.5rem) 4rem;
  display: grid; gap: 1.25rem;
}
header { display: grid; gap: 0.4rem; }
.card {
  display: grid; gap: 0.9rem; align-content: start; padding: 1.25rem;
  background: var(--card); border: 1px solid var(--line); border-radius: 14px;
}
.two { display: grid; gap: 1.25rem; }
@media (min-width: 58rem) { .two { grid-template-columns: 1fr 1fr; } }
.notice {
  padding: 0.8rem 1.1rem; color: var(--bad); background: var(--bad-wash); border-radius: 10px;
}
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 0.75rem; }
.tiles div {
  padding: 0.8rem 1rem; background: var(--card); border: 1px solid var(--line); border-radius: 14px;
}
.tiles dt { color: var(--quiet); font-size: 0.8125rem; }
.tiles dd {
  font-size: 1.5rem; font-weight: 650; line-height: 1.3; font-variant-numeric: tabular-nums;
}
.scroll { overflow-x: auto; }
table {
  border-collapse: collapse; width: 100%; font-size: 0.9rem; font-variant-numeric: tabular-nums;
}
th {
  font-weight: 600; text-align: start; color: var(--quiet); font-size: 0.8125rem;
  white-space: nowrap;
}
tbody th { color: inherit; font-size: inherit; }
th, td { padding: 0.35rem 0.5rem; border-bottom: 1px solid var(--line); }
th:first-child { padding-inline-start: 0; }
td, th.number { text-align: end; white-space: nowrap; }
tr:last-child > * { border-bottom: 0; }
tr.all > * { font-weight: 650; }
.bar { position: relative; min-width: 5.5rem; }
.bar::before {
  content: ""; position: absolute; inset: 0.3rem auto 0.3rem 0; width: calc(100% * var(--share));
  background: var(--accent); opacity: 0.18; border-radius: 3px;
}
.bar span { position: relative; }
.matrix td {
  text-align: center;
  --mixed: calc(45% * var(--share, 0));
  background: color-mix(in srgb, var(--tint, var(--accent)) var(--mixed), transparent);
}
.matrix .zero { color: var(--quiet); }
.matrix .off { --tint: var(--bad); }
.matrix thead th:not(:first-child) { text-align: center; }
.matrix .apart { border-inline-start: 2px solid var(--line); }
.matrix .under > * { border-top: 2px solid var(--line); }
figure { max-width: 42rem; }
svg { display: block; width: 100%; height: auto; }
svg text { font-size: 12px; fill: var(--quiet); font-variant-numeric: tabular-nums; }
@media (max-width: 40rem) { svg text { font-size: 18px; } }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .even { stroke: var(--quiet); stroke-width: 1.2; stroke-dasharray: 4 4; }
svg .curve {
  fill: none; stroke: var(--hue); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round;
}
svg .point { fill: var(--hue); }
svg .column { fill: var(--hue); opacity: 0.75; }
svg .faint { opacity: 0.35; }
.legend {
  display: flex; flex-wrap: wrap; gap: 0.25rem 1.1rem; list-style: none; font-size: 0.875rem;
}
.dot {
  display: inline-block; width: 0.6em; height: 0.6em; margin-inline-end: 0.45em;
  border-radius: 50%; background: var(--hue);
}
[data-hue="0"] { --hue: var(--hue-0); } [data-hue="1"] { --hue: var(--hue-1); }
[data-hue="2"] { --hue: var(--hue-2); } [data-hue="3"] { --hue: var(--hue-3); }
[data-hue="4"] { --hue: var(--hue-4); } [data-hue="5"] { --hue: var(--hue-5); }
[data-hue="6"] { --hue: var(--hue-6); } [data-hue="7"] { --hue: var(--hue-7); }
.worst { list-style: none; display: grid; }
.worst > li { display: grid; gap: 0.5rem; padding-block: 1rem; border-top: 1px solid var(--line); }
.worst > li:first-child { border-top: 0; padding-top: 0; }
.sides { display: grid; gap: 0.5rem 1.5rem; }
@media (min-width: 48rem) { .sides { grid-template-columns: 1fr 1fr; } }
.side { display: grid; grid-template-columns: 4.5rem 1fr; }
.side b { font-size: 0.8125rem; font-weight: 600; line-height: 1.9rem; color: var(--quiet); }
.side p { line-height: 1.9rem; }
mark {
  padding: 0.16em 0.34em; color: inherit; border-radius: 5px; border-bottom: 2px solid var(--hue);
  background: color-mix(in srgb, var(--hue) 13%, transparent);
  -webkit-box-decoration-break: clone; box-decoration-break: clone;
}
mark.right {
  color: var(--quiet); background: none;
  border-bottom-color: color-mix(in srgb, var(--hue) 45%, transparent);
}
mark small {
  margin-inline-start: 0.4em; font-size: 0.6875rem; font-weight: 650; color: var(--hue);
  white-space: nowrap;
}
@media print {
  body { background: none; }
  .card { break-inside: avoid; }
  .card.long { break-inside: auto; }
}
"""
