// Before and after under a slider; without this script both images are shown side by side.
for (const box of document.querySelectorAll('.versus')) {
  const bar = box.querySelector('input');
  const show = () => {
    box.style.setProperty('--at', bar.value + '%');
    bar.setAttribute('aria-valuetext', bar.value + ' % before, ' + (100 - bar.value) + ' % after');
  };
  bar.hidden = false;
  box.classList.add('live');
  bar.addEventListener('input', show);
  show();
}
