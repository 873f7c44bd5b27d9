// Films play by themselves unless the reader's system prefers reduced motion; where a browser refuses, a click starts them.
for (const film of document.querySelectorAll('video')) {
  if (!matchMedia('(prefers-reduced-motion: reduce)').matches) film.play().catch(() => film.pause());
}
