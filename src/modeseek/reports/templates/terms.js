// Explanations of terms: shown by CSS at hover and focus, here kept within the window, shown by a tap, hidden by Escape.
for (const term of document.querySelectorAll('.term')) {
  const tip = term.querySelector('[role=tooltip]');
  const place = () => {
    tip.style.left = '';
    const { left, right } = tip.getBoundingClientRect(), width = document.documentElement.clientWidth;
    tip.style.left = `${Math.max(12 - left, Math.min(0, width - 12 - right))}px`;
  };
  term.addEventListener('click', () => { term.focus(); place(); });
  term.addEventListener('focus', place);
  term.addEventListener('pointerenter', place);
  term.addEventListener('keydown', (event) => { if (event.key === 'Escape') term.blur(); });
}
