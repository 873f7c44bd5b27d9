"""Style sheet of reports, light and dark, without external files or fonts."""

# Thumb of the before/after slider: a line over the full height of the image, with a knob.
_HANDLE = (
    "background: radial-gradient(circle, var(--card) 0 8px, var(--mark) 9px 12px, transparent 13px), "
    "linear-gradient(var(--mark), var(--mark)) center / 3px 100% no-repeat;"
)
CSS = """
:root { color-scheme: light dark;
  --ink: #1b1f24; --soft: #59616b; --paper: #fbfbfc; --card: #ffffff; --line: #e3e6ea; --mark: #0b6e99;
  --good: #1a7f47; --wait: #8a5a00; --bad: #b3261e;
  --c0: #0072b2; --c1: #d55e00; --c2: #008a66; --c3: #b0528c; --c4: #b07a00; --c5: #3a9bd6; --c6: #1b1f24; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --soft: #a2aab4; --paper: #14171a; --card: #1c2024; --line: #30363d; --mark: #6cc7ee;
    --good: #6fd39b; --wait: #f0b955; --bad: #ff8a80;
    --c0: #56b4e9; --c1: #f58a42; --c2: #2fc79c; --c3: #e39cc8; --c4: #e9b93a; --c5: #a9c7ff; --c6: #e8eaed; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1280px; margin: 0 auto; padding: 48px 24px 80px; }
.kicker { margin: 0; color: var(--mark); font-weight: 600; letter-spacing: .06em; }
h1 { margin: .1em 0 .5em; font-size: 2.1rem; line-height: 1.15; letter-spacing: -.015em; overflow-wrap: anywhere; }
h2 { margin: 0 0 .7em; font-size: 1.2rem; }
.lead { max-width: 46em; margin: .4em 0; font-size: 1.05rem; }
.small { color: var(--soft); font-size: .86rem; }
section { margin-top: 28px; padding: 24px; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px; }
.scroll { overflow-x: auto; } .scroll + .small { margin-top: 12px; }
table { border-collapse: collapse; width: 100%; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 9px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
thead th { color: var(--soft); font-weight: 600; white-space: normal; vertical-align: bottom; cursor: help;
  line-height: 1.25; }
th:first-child { text-align: left; }
tbody th { font-weight: 600; }
tbody tr:last-child > * { border-bottom: 0; }
.best { color: var(--mark); font-weight: 700; }
.reference > * { font-style: italic; font-weight: 400; color: var(--soft); }
figure { margin: 0; }
img { display: block; max-width: 100%; height: auto; margin: 0 auto; border-radius: 6px; background: #fff; }
figcaption { margin-top: 12px; max-width: 56em; color: var(--soft); font-size: .92rem; }
pre { margin: 0; padding: 14px 16px; overflow-x: auto; background: var(--paper); border: 1px solid var(--line);
  border-radius: 8px; font-size: .86rem; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .9em; }
dl { margin: 0; } dt { font-weight: 600; } dt code { color: var(--soft); font-weight: 400; }
dd { margin: 0 0 .7em; color: var(--soft); }
dl.tight { display: grid; grid-template-columns: fit-content(45%) minmax(0, 1fr); gap: 2px 18px; }
dl.tight > * { margin: 0; overflow-wrap: anywhere; } dl.tight > dt { font-weight: 400; }
details { margin-top: 14px; } summary { cursor: pointer; color: var(--mark); margin-bottom: 8px; }
a { color: var(--mark); } ul { margin: 0; padding-left: 1.2em; overflow-wrap: anywhere; }
.lead, .small, .alarm, .watch, figcaption { overflow-wrap: anywhere; }
p.small { margin: .5em 0 0; } h2 + p.small { margin-top: 0; } p + pre { margin-top: 8px; }
.alarm { margin: 0 0 12px; padding: 8px 12px; border-left: 3px solid var(--bad); background: var(--paper); }
.watch { margin: 0 0 20px; max-width: 56em; padding: 10px 14px; border-left: 3px solid var(--mark);
  background: var(--paper); }
.state { display: inline-block; padding: 0 10px; margin-right: 6px; border: 1.5px solid currentColor;
  border-radius: 99px; font-weight: 600; color: var(--mark); }
.finished { color: var(--good); } .stopped { color: var(--wait); } .failed, .lost { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 18px 24px; }
.tiles dt { color: var(--soft); font-weight: 400; font-size: .86rem; }
.tiles dd { margin: 0; color: var(--ink); font-size: 1.35rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.coarse { image-rendering: pixelated; width: 100%; }
.versus { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(240px, 100%), 1fr)); gap: 16px; }
.versus figcaption, .strip figcaption, .sheet figcaption { margin-top: 6px; font-size: .86rem; }
.versus.live { grid-template-columns: 100%; max-width: var(--wide); margin: 0 auto; position: relative; }
.versus.live > * { grid-area: 1 / 1; }
.versus.live img { width: 100%; }
.versus.live figcaption { width: 48%; min-height: 1.5rem; }
.versus.live figure + figure figcaption { margin-left: auto; text-align: right; }
.versus.live figure + figure img { clip-path: inset(0 0 0 var(--at)); }
.versus input { appearance: none; z-index: 1; width: calc(100% + 36px); margin: 0 -18px; cursor: ew-resize;
  background: none; height: calc(100% - 1.5rem - 6px); outline-offset: 2px; }
.versus input::-webkit-slider-runnable-track { height: 100%; }
.versus input::-moz-range-track { height: 100%; background: none; }
.versus input::-webkit-slider-thumb { appearance: none; width: 36px; height: 100%; border: 0; HANDLE }
.versus input::-moz-range-thumb { width: 36px; height: 100%; border: 0; border-radius: 0; HANDLE }
.strip { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 16px; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(240px, 100%), 1fr)); gap: 20px; }
.none { display: grid; place-items: center; aspect-ratio: 1; border: 1px dashed var(--line); border-radius: 6px;
  color: var(--soft); }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr)); gap: 26px 32px; }
.pair { grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr)); }
.curve figcaption { margin: 0 0 6px; color: var(--ink); font-weight: 600; }
.curve svg { display: block; width: 100%; height: auto; overflow: visible; }
.curve text { fill: var(--soft); font-size: 11.5px; font-variant-numeric: tabular-nums; }
.grid { fill: none; stroke: var(--line); } .level { fill: none; stroke: var(--soft); stroke-dasharray: 5 4; }
.line { fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linejoin: round; }
.dot { fill: currentColor; } .faint { opacity: .3; stroke-width: 1; }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); }
.c4 { color: var(--c4); } .c5 { color: var(--c5); } .c6 { color: var(--c6); }
.dash1 { stroke-dasharray: 7 3; } .dash2 { stroke-dasharray: 2 3; } .dash3 { stroke-dasharray: 8 3 2 3; }
.groups { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(300px, 100%), 1fr)); gap: 18px 32px; }
h3 { margin: 0 0 4px; font-size: .92rem; }
.key { width: 28px; height: 10px; vertical-align: middle; margin-right: 6px; }
.legend { list-style: none; padding: 0; margin: 0 0 18px; display: flex; flex-wrap: wrap; gap: 4px 22px; }
@media (max-width: 640px) {
  main { padding: 28px 14px 48px; } section { padding: 18px 20px; } h1 { font-size: 1.6rem; }
  .strip { grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
@media (min-width: 1040px) {
  .strip { grid-template-columns: repeat(8, minmax(0, 1fr)); } .pair text { font-size: 9px; }
}
@media print { section { break-inside: avoid; } }
""".replace("HANDLE", _HANDLE)
