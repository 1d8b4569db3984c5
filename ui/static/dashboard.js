// Makes pages follow what happens. Every page works without this file: it swaps in what the server has rendered anew,
// and never touches what the reader has opened, typed, chosen or scrolled to.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
const exact = new Intl.DateTimeFormat('en-GB', {
  year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short',
});
const today = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const thisYear = new Intl.DateTimeFormat('en-GB', { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' });

// Times: the server's are in UTC; readers get their own zone, or how long ago it was.

const UNITS = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];

function ago(seconds) {
  const size = Math.abs(seconds);
  if (size < 5) return seconds >= 0 ? 'just now' : 'in a moment';
  const first = UNITS.findIndex(([unit]) => size >= unit);
  const [unit, word] = UNITS[first];
  const count = `${Math.floor(size / unit)} ${word}`;
  if (seconds >= 0) return `${count} ago`;
  // Of a time to come, half an hour more or less matters.
  const [less, small] = UNITS[first + 1] ?? [1, ''];
  const rest = Math.floor((size % unit) / less);
  return rest ? `in ${count} ${rest} ${small}` : `in ${count}`;
}

function local(at, now) {
  if (at.toDateString() === now.toDateString()) return today.format(at);
  return at.getFullYear() === now.getFullYear() ? thisYear.format(at) : exact.format(at);
}

function times(root) {
  const now = new Date();
  for (const element of root.querySelectorAll('time')) {
    const at = new Date(element.dateTime);
    const text = 'ago' in element.dataset ? ago((now - at) / 1000) : local(at, now);
    if (element.textContent !== text) element.textContent = text;
    const title = `${exact.format(at)} (${element.dateTime})`;
    if (element.title !== title) element.title = title;
  }
}

// Updates: what is there is changed into what should be there, element by element.

const key = (node) => (node.nodeType === Node.ELEMENT_NODE && node.id) || '';
const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && key(a) === key(b);
// In the reader's hands: removed from a list that follows what happens, it would vanish under their eyes. Without an id it
// could not come back into its place; and what is asked for anew, as a preview is, is shown as it was answered.
const inUse = (node) => key(node) !== '' && node.closest('[data-live]') !== null && together(node).some(held);
const held = (node) => node.contains(document.activeElement) || node.matches('details[open]')
  || node.querySelector('details[open]') !== null;
// A row, and the rows that belong to it.
const together = (node) => ('pair' in node.dataset
  ? [...node.parentNode.children].filter((other) => other.dataset.pair === node.dataset.pair) : [node]);

function attributes(from, to) {
  // What is open and what is closed is the reader's.
  const ours = ({ name }) => name !== 'open';
  for (const { name, value } of [...to.attributes].filter(ours)) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  for (const { name } of [...from.attributes].filter(ours)) {
    if (!to.hasAttribute(name)) from.removeAttribute(name);
  }
}

function change(from, to) {
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  if (from.nodeName === 'TIME' && from.dateTime === to.dateTime) return;
  attributes(from, to);
  // What was typed is the reader's.
  if (!['INPUT', 'SELECT', 'TEXTAREA'].includes(from.nodeName)) children(from, to);
}

function children(from, to) {
  const known = new Map([...from.childNodes].filter(key).map((node) => [key(node), node]));
  const wanted = new Set([...to.childNodes].map(key));
  let place = from.firstChild;
  for (const next of [...to.childNodes]) {
    // Rows that go away make room before others are compared with them.
    while (place && key(place) && !wanted.has(key(place))) place = drop(place);
    const old = key(next) ? known.get(key(next)) : place && alike(place, next) ? place : null;
    if (!old) {
      if (left.has(key(next))) next.open = left.get(key(next));
      from.insertBefore(next, place);
    } else {
      if (old !== place) from.insertBefore(old, place);
      change(old, next);
      place = old.nextSibling;
    }
  }
  while (place) place = drop(place);
}

// How the reader left what is gone for now, by id: it may come back.
const left = new Map();

// Takes a node away, or leaves it as long as the reader is at it; the next one.
function drop(node) {
  const next = node.nextSibling;
  if (key(node) && node.nodeName === 'DETAILS') left.set(key(node), node.open);
  if (inUse(node)) outdate(node);
  else node.remove();
  return next;
}

// Says of what is kept that it is not in the list any more; an update that brings it back takes that away.
function outdate(node) {
  if (node.classList.contains('past')) return;
  node.classList.add('past');
  // Of rows that belong together the first one says so.
  const first = together(node)[0];
  if (!node.matches('tr, li') || (first !== node && first.classList.contains('past'))) return;
  const word = Object.assign(document.createElement('span'), { className: 'tag', textContent: 'no longer in this list' });
  (node.querySelector('.state, [colspan]') ?? node).append(' ', word);
}

function swap(id, html) {
  const part = document.getElementById(id);
  if (!part) return;
  const next = document.createElement('template');
  next.innerHTML = html;
  // The marks around a part are not in what is sent.
  for (const root of [part, next.content]) {
    const marks = document.createNodeIterator(root, NodeFilter.SHOW_COMMENT);
    for (let mark = marks.nextNode(); mark; mark = marks.nextNode()) mark.remove();
  }
  const before = sentences(part);
  children(part, next.content);
  times(part);
  const news = sentences(part).filter((sentence) => !before.includes(sentence));
  if (news.length > 0) say(news.length > 3 ? `${news.length} changes` : news.join('. '));
}

// For those who do not see what changes: a change of status, not every number. What has left its list is no news.
function sentences(part) {
  return [...part.querySelectorAll('[data-say]:not(.past)')].map((element) => element.dataset.say || element.textContent);
}

function say(text) {
  document.getElementById('said').textContent = text;
}

// Why an answer is not the page that was asked for, in words.
function refusal(answer, page) {
  if (answer.redirected) return 'Your session may have ended: reload the page.';
  const said = page.querySelector('.problem h1 + p')?.textContent;
  return said ?? `The application answered with ${answer.status}.`;
}

// Live: a stream of what changes; where none gets through, the page is fetched now and then instead.

const POLL = 5000;
const PATIENCE = 10000;
const RETRY_STREAM = 60000;
const REFUSED = {
  401: 'your session may have ended', 403: 'no access any more', 404: 'not there any more', 503: 'the database does not answer',
};

function follow(url) {
  const beat = document.getElementById('beat');
  let source = null;
  let timer = 0;
  let over = false;
  let lost = false;

  function show(state, text) {
    beat.hidden = false;
    beat.className = `beat ${state}`;
    if (beat.textContent !== text) beat.textContent = text;
  }

  // What is lost, and that it is back, is said once.
  function tell(state, text) {
    show(state, text);
    if (lost !== (state === 'away')) say(lost ? 'This page follows again' : `This page stands still: ${text}`);
    lost = state === 'away';
  }

  function calm() {
    clearTimeout(timer);
    timer = 0;
  }

  function halt() {
    source?.close();
    source = null;
    calm();
  }

  function open() {
    halt();
    source = new EventSource(url);
    // A proxy that collects a stream lets it open and then says nothing.
    timer = setTimeout(poll, PATIENCE, Date.now());
    source.addEventListener('parts', (event) => {
      calm();
      for (const { id, html } of JSON.parse(event.data).parts) swap(id, html);
      tell('live', 'live');
    });
    source.addEventListener('away', () => {
      calm();
      tell('away', 'the database does not answer');
    });
    source.addEventListener('gone', () => {
      over = true;
      halt();
      show('away', 'deleted');
      say('This run was deleted');
    });
    source.addEventListener('error', () => {
      // Closed for good: refused, or no stream at all. Otherwise the browser connects again by itself.
      if (source?.readyState === EventSource.CLOSED) return poll(Date.now());
      show('polling', 'connecting');
      timer ||= setTimeout(poll, PATIENCE, Date.now());
      return undefined;
    });
  }

  async function poll(since) {
    halt();
    if (Date.now() - since > RETRY_STREAM) return open();
    try {
      const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      if (answer.redirected || !answer.ok) {
        tell('away', answer.redirected ? 'your session may have ended' : REFUSED[answer.status] ?? `refused: ${answer.status}`);
      } else {
        for (const part of page.querySelectorAll('[data-live]')) swap(part.id, part.innerHTML);
        tell('polling', 'every 5 s');
      }
    } catch {
      tell('away', 'no answer');
    }
    if (!document.hidden) timer = setTimeout(poll, POLL, since);
  }

  document.addEventListener('visibilitychange', () => {
    if (document.hidden) halt();
    else if (!over) open();
  });
  // A page from the browser's history is as it was left.
  addEventListener('pagehide', halt);
  addEventListener('pageshow', (event) => event.persisted && !over && open());
  if (!document.hidden) open();
}

// Questions before an action, in place.

// The link whose question is being asked: one at a time, however often it is clicked.
let asked = null;

function ask(link) {
  if (asked) return;
  asked = link;
  const dialog = document.createElement('dialog');
  dialog.setAttribute('aria-labelledby', 'question');
  const leave = () => {
    asked = null;
    location.href = link.href;
  };
  fetch(link.href, { headers: { accept: 'text/html' } }).then(async (answer) => {
    if (!answer.ok || answer.redirected) return leave();
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const question = page.querySelector('.confirm');
    if (!question) return leave();
    times(question);
    dialog.append(document.importNode(question, true));
    dialog.addEventListener('close', () => {
      dialog.remove();
      asked = null;
      link.focus();
    });
    dialog.addEventListener('click', (event) => {
      if (event.target !== dialog && !event.target.closest('[data-dismiss]')) return;
      event.preventDefault();
      dialog.close();
    });
    document.body.append(dialog);
    dialog.showModal();
    // Enter without a thought does nothing.
    dialog.querySelector('[data-dismiss]')?.focus();
    return undefined;
  }).catch(leave);
}

document.addEventListener('click', (event) => {
  const link = event.target.closest('a[data-ask]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  ask(link);
});

// One click is one request.
document.addEventListener('submit', (event) => {
  if (event.target.method !== 'post') return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = 'yes';
});
addEventListener('pageshow', () => document.querySelectorAll('form[data-sent]').forEach((form) => delete form.dataset.sent));

document.addEventListener('change', (event) => {
  if (event.target.matches('select[data-submit]')) event.target.form.requestSubmit();
});

// Searching in what is on the page.

function filter(input) {
  const list = document.getElementById(input.dataset.filter);
  const none = document.getElementById(`${input.dataset.filter}-none`);
  const look = () => {
    const wanted = input.value.trim().toLowerCase();
    let left = 0;
    for (const item of list.children) {
      item.hidden = !item.dataset.text.toLowerCase().includes(wanted);
      if (!item.hidden) left += 1;
    }
    none.hidden = left > 0;
  };
  input.addEventListener('input', look);
  look();
}

// The letters of `wanted` in their order, anywhere in `text`; the fewer gaps, the better. `null` when one is missing.
function fuzzy(wanted, text) {
  const places = [];
  let from = 0;
  let score = 0;
  for (const letter of wanted) {
    const at = text.indexOf(letter, from);
    if (at < 0) return null;
    const atWord = at === 0 || text[at - 1] === '_';
    score += at === from && at > 0 ? 0 : atWord ? 1 : 3 + Math.min(at - from, 5);
    places.push(at);
    from = at + 1;
  }
  return { places, score };
}

function picker(input) {
  const list = document.getElementById(input.dataset.pick);
  const none = document.getElementById(`${input.dataset.pick}-none`);
  const items = [...list.querySelectorAll('li')].map((item, order) => (
    { item, order, list: item.parentNode, name: item.dataset.text, strong: item.querySelector('strong') }));
  let chosen = 0;
  let shown = items;
  document.querySelector('.keys-help').hidden = false;
  input.setAttribute('role', 'combobox');
  input.setAttribute('aria-expanded', 'true');
  input.setAttribute('aria-controls', list.id);
  input.setAttribute('aria-autocomplete', 'list');

  function choose(index) {
    shown[chosen]?.item.classList.remove('chosen');
    chosen = Math.max(0, Math.min(index, shown.length - 1));
    const entry = shown[chosen];
    input.removeAttribute('aria-activedescendant');
    if (!entry) return;
    entry.item.classList.add('chosen');
    entry.item.id = `pick-${entry.order}`;
    input.setAttribute('aria-activedescendant', entry.item.id);
    entry.item.scrollIntoView({ block: 'nearest' });
  }

  function look() {
    const wanted = input.value.trim().toLowerCase().replace(/[\s-]+/g, '_');
    for (const entry of items) {
      entry.found = fuzzy(wanted, entry.name.toLowerCase());
      entry.item.hidden = !entry.found;
      entry.item.classList.remove('chosen');
      entry.strong.replaceChildren(...[...entry.name].map((letter, at) => {
        if (!entry.found?.places.includes(at)) return letter;
        const mark = document.createElement('mark');
        mark.append(letter);
        return mark;
      }));
    }
    shown = items.filter((entry) => entry.found);
    if (wanted) shown.sort((a, b) => a.found.score - b.found.score || a.order - b.order);
    for (const entry of wanted ? shown : items) entry.list.append(entry.item);
    // On the page the lists stand one below the other.
    shown.sort((a, b) => (a.item.compareDocumentPosition(b.item) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
    none.hidden = shown.length > 0;
    const best = wanted ? shown.reduce((best, entry, at) => (entry.found.score < shown[best].found.score ? at : best), 0) : 0;
    choose(best);
  }

  input.addEventListener('input', look);
  input.addEventListener('keydown', (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) choose(chosen + steps[event.key]);
    else if (event.key === 'Enter' && shown[chosen]) shown[chosen].item.querySelector('a').click();
    else return;
    event.preventDefault();
  });
  look();
}

// A list of many boxes gets a search and buttons for all of those that are found.
function many(boxes) {
  const labels = [...boxes.querySelectorAll('label')];
  if (labels.length < 6) return;
  const tools = document.createElement('div');
  tools.className = 'many-tools';
  const search = Object.assign(document.createElement('input'), { type: 'search', placeholder: 'Search', autocomplete: 'off' });
  const name = boxes.closest('fieldset').querySelector('legend').textContent.trim();
  search.setAttribute('aria-label', `Search in ${name}`);
  const count = document.createElement('span');
  count.className = 'muted nums';
  const button = (text, checked) => {
    const all = Object.assign(document.createElement('button'), { type: 'button', textContent: text });
    all.addEventListener('click', () => {
      for (const label of labels) if (!label.hidden) label.control.checked = checked;
      tell();
    });
    return all;
  };
  const tell = () => {
    count.textContent = `${labels.filter((label) => label.control.checked).length} of ${labels.length}`;
  };
  search.addEventListener('input', () => {
    const wanted = search.value.trim().toLowerCase();
    for (const label of labels) label.hidden = !label.textContent.toLowerCase().includes(wanted);
  });
  search.addEventListener('keydown', (event) => event.key === 'Enter' && event.preventDefault());
  boxes.addEventListener('change', tell);
  tools.append(search, button('Select all', true), button('Select none', false), count);
  boxes.before(tools);
  tell();
}

// Zones: the reader's own, with the offset that it has at the time that is typed.

function offset(text) {
  const at = text ? new Date(text) : new Date();
  const minutes = -at.getTimezoneOffset();
  if (Number.isNaN(minutes)) return '';
  const part = (n) => String(n).padStart(2, '0');
  return `${minutes < 0 ? '-' : '+'}${part(Math.floor(Math.abs(minutes) / 60))}:${part(Math.abs(minutes) % 60)}`;
}

function zoned(select) {
  const input = document.getElementById(select.dataset.zoneOf);
  const hint = input.closest('.field').querySelector('[data-when]');
  const own = new Option(zone);
  const sent = [...select.options].find((option) => option.value);
  if (zone !== 'UTC') {
    if (sent && sent.value === offset(input.value)) sent.replaceWith(own);
    else select.prepend(own);
    own.selected = sent ? own.isConnected && !sent.isConnected : 'own' in select.dataset && !input.value || own.selected;
    if (!sent && !('own' in select.dataset && !input.value)) select.value = '';
  }
  const tell = () => {
    own.value = offset(input.value);
    const at = new Date(input.value ? `${input.value}${select.value || 'Z'}` : NaN);
    if (!hint) return;
    if (Number.isNaN(at.getTime())) {
      hint.textContent = 'ownHint' in hint.dataset ? hint.dataset.ownHint : '';
      return;
    }
    const utc = at.toISOString().replace('T', ' ').replace(/\.\d+Z$/, ' UTC');
    const here = zone === 'UTC' ? '' : `${exact.format(at)}, `;
    hint.textContent = `That is ${here}${utc}, ${ago((Date.now() - at) / 1000)}.`;
  };
  if (hint?.textContent) hint.dataset.ownHint = `It is ${exact.format(new Date())} now.`;
  input.addEventListener('input', tell);
  select.addEventListener('change', tell);
  tell();
}

// A time that is half typed and hidden by "Now" would keep the browser from sending the form, without a word.
function scheduled(choice) {
  const fields = choice.closest('.group').querySelectorAll('.start-at :is(input, select)');
  const tell = () => fields.forEach((field) => { field.disabled = !choice.checked; });
  choice.form.addEventListener('change', tell);
  addEventListener('pageshow', tell);
  tell();
}

// What a run would do, anew after each change of its form: as long as nobody types, and one question at a time.
function preview(panel) {
  const form = document.getElementById(panel.dataset.preview);
  let timer = 0;
  let asking = null;
  async function ask() {
    asking?.abort();
    asking = new AbortController();
    panel.setAttribute('aria-busy', 'true');
    try {
      const answer = await fetch(panel.dataset.previewUrl, {
        method: 'POST', body: new URLSearchParams(new FormData(form)), signal: asking.signal,
      });
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const found = answer.redirected ? null : page.getElementById('preview');
      if (found) swap('preview', found.innerHTML);
      else none(refusal(answer, page));
    } catch (error) {
      if (error.name === 'AbortError') return;
      none('The application cannot be reached.');
    }
    panel.removeAttribute('aria-busy');
  }
  // A number that was right for something else must not stay.
  function none(reason) {
    const [what, why] = ['No answer.', reason].map((text) => Object.assign(document.createElement('p'), { textContent: text }));
    what.className = 'strong';
    panel.replaceChildren(what, why);
  }
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 600);
  };
  form.addEventListener('input', soon);
  form.addEventListener('change', soon);
  ask();
}

document.documentElement.classList.add('js');
document.querySelectorAll('#start-at-choice').forEach(scheduled);
document.querySelectorAll('[data-preview]').forEach(preview);
document.querySelectorAll('input[data-filter]').forEach(filter);
document.querySelectorAll('input[data-pick]').forEach(picker);
document.querySelectorAll('[data-many]').forEach(many);
document.querySelectorAll('select[data-zone-of]').forEach(zoned);
times(document);
setInterval(times, 10000, document);
const live = document.querySelector('[data-live-url]')?.dataset.liveUrl;
if (live) follow(live);
