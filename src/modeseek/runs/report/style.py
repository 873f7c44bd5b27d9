"""The style sheet of reports: light and dark, no file or font from elsewhere."""

CSS = """
:root { --ink: #1b1f24; --soft: #59616b; --paper: #fbfbfc; --card: #ffffff; --line: #e3e6ea; --mark: #0b6e99; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --soft: #a2aab4; --paper: #14171a; --card: #1c2024; --line: #30363d; --mark: #6cc7ee; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1280px; margin: 0 auto; padding: 48px 24px 80px; }
.kicker { margin: 0; color: var(--mark); font-weight: 600; letter-spacing: .06em; }
h1 { margin: .1em 0 .5em; font-size: 2.1rem; line-height: 1.15; letter-spacing: -.015em; }
h2 { margin: 0 0 .7em; font-size: 1.2rem; }
.lead { max-width: 46em; margin: .4em 0; font-size: 1.05rem; }
.small { color: var(--soft); font-size: .86rem; }
section { margin-top: 28px; padding: 24px; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px; }
.scroll { overflow-x: auto; }
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
dl.tight { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; } dl.tight dd { margin: 0; }
details { margin-top: 14px; } summary { cursor: pointer; color: var(--mark); margin-bottom: 8px; }
a { color: var(--mark); } ul { margin: 0; padding-left: 1.2em; }
"""
