(() => {
  const body = document.body, banner = document.getElementById('banner');
  const paused = document.getElementById('paused');
  let seen = new Date(), title = document.title;
  const alike = (a, b) => a && a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || '') === (b.id || '');
  const renew = (old, fresh) => {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== 1) { old.data = fresh.data; return; }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    if (old === document.activeElement && 'value' in old) return;
    const byId = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
    let at = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const match = child.id ? byId.get(child.id) : (alike(at, child) ? at : null);
      if (match && alike(match, child)) {
        if (match === at) at = at.nextSibling; else old.insertBefore(match, at);
        renew(match, child);
      } else {
        old.insertBefore(child.cloneNode(true), at);
      }
    }
    while (at) { const next = at.nextSibling; at.remove(); at = next; }
  };
  const gone = (words) => {
    body.classList.add('gone');
    banner.className = 'banner bad';
    banner.textContent = words.replace('{at}', seen.toISOString().slice(11, 19) + ' UTC');
    for (const age of document.querySelectorAll('.age')) age.dataset.then = body.dataset.then;
    document.title = '⚠ ' + body.dataset.goneTitle + ' · ' + title;
    document.getElementById('icon').href = body.dataset.goneIcon;
  };
  const look = async () => {
    if (String(getSelection())) { paused.textContent = body.dataset.paused; return; }
    paused.textContent = '';
    let text;
    try {
      const reply = await fetch(location.href, { signal: AbortSignal.timeout(10000), headers: { Accept: 'text/html' } });
      text = await reply.text();
    } catch { gone(body.dataset.gone); return; }
    const fresh = new DOMParser().parseFromString(text, 'text/html');
    if (!fresh.querySelector('main[data-kvtide]')) { gone(body.dataset.foreign); return; }
    seen = new Date();
    title = document.title = fresh.title;
    body.classList.toggle('gone', fresh.body.classList.contains('gone'));
    document.getElementById('icon').href = fresh.getElementById('icon').getAttribute('href');
    renew(banner, fresh.getElementById('banner'));
    renew(document.querySelector('main'), fresh.querySelector('main'));
  };
  let busy = false;
  const turn = async () => { if (busy) return; busy = true; try { await look(); } finally { busy = false; } };
  setInterval(turn, 5000);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) turn(); });
})();
