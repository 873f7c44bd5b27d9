// Values of curves: those nearest to the mouse or finger, or chosen by the arrow keys, beside the title of the chart.
for (const chart of document.querySelectorAll('.curve')) {
  const svg = chart.querySelector('svg'), output = chart.querySelector('output');
  const lines = [...svg.querySelectorAll('path[data-values]')].map((path) => {
    const places = path.getAttribute('d').slice(1).split('L').map((place) => place.split(' ').map(Number));
    const values = path.dataset.values.split(' ').map((value) => value.split(','));
    return { path, name: path.dataset.name, points: places.map(([u, v], k) => ({ u, v, x: values[k][0], y: values[k][1] })) };
  });
  if (!lines.length) continue;
  const dot = document.createElementNS(svg.namespaceURI, 'circle');
  dot.setAttribute('r', '4');
  svg.append(dot);
  let line = 0, point = 0;
  const show = () => {
    const { path, name, points } = lines[line], { u, v, x, y } = points[point];
    dot.setAttribute('cx', u);
    dot.setAttribute('cy', v);
    dot.setAttribute('class', `dot ${[...path.classList].find((name) => /^c\d$/.test(name))}`);
    const label = svg.dataset.x;
    output.textContent = `${name ? `${name}, ` : ''}${label} ${Number(x).toLocaleString('en')}: ${y}`;
    dot.style.display = '';
  };
  const hide = () => { dot.style.display = 'none'; output.textContent = ''; };
  const nearest = (event) => {
    const box = svg.getBoundingClientRect(), zoom = svg.viewBox.baseVal.width / box.width;
    const at = [(event.clientX - box.left) * zoom, (event.clientY - box.top) * zoom];
    let best = Infinity;
    lines.forEach(({ points }, i) => points.forEach(({ u, v }, k) => {
      const away = Math.abs(u - at[0]) + (lines.length > 1 ? 0.5 : 0.01) * Math.abs(v - at[1]);
      if (away < best) [best, line, point] = [away, i, k];
    }));
    show();
  };
  svg.addEventListener('pointermove', nearest);
  svg.addEventListener('pointerdown', nearest);
  svg.addEventListener('pointerleave', (event) => { if (event.pointerType === 'mouse') hide(); });
  svg.addEventListener('focus', () => { if (!output.textContent) { point = lines[line].points.length - 1; show(); } });
  svg.addEventListener('blur', hide);
  const keys = {
    ArrowRight: () => { point += 1; }, ArrowLeft: () => { point -= 1; }, Home: () => { point = 0; },
    End: () => { point = Infinity; }, ArrowDown: () => { line += 1; }, ArrowUp: () => { line += lines.length - 1; },
  };
  svg.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
    line %= lines.length;
    point = Math.max(0, Math.min(lines[line].points.length - 1, point));
    show();
  });
  hide();
}
