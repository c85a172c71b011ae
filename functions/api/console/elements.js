/** An element with attributes, listeners (`onclick`), and children. A text is a text node: nothing is ever parsed as HTML. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (typeof value === 'function') made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? '' : String(value));
  }
  made.append(...children.filter((child) => child !== undefined && child !== null).map(nodeOf));
  return made;
}

function nodeOf(child) {
  return child instanceof Node ? child : document.createTextNode(String(child));
}

/** A name of parts with dots between, which a line may end behind. */
export function dotted(text) {
  const parts = text.split(/(?<=\.)/).flatMap((part) => [part, element('wbr')]);
  return element('code', {}, ...parts);
}

export const byId = (id) => document.getElementById(id);

/** Said aloud by screen readers, and shown above everything. */
export function say(text, kind = 'good') {
  const message = byId('message');
  message.dataset.kind = kind;
  message.textContent = text;
}

/** In the reader's own way of writing; the exact moment is in the markup. */
export function timeOf(value) {
  if (value === null || value === undefined) return element('span', { class: 'quiet' }, 'never');
  return element('time', { datetime: value, class: 'time', title: value }, momentOf(value));
}

export function momentOf(value) {
  return new Date(value).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

const tones = {
  good: ['running', 'succeeded', 'proven', 'replayed', 'resolved'],
  busy: [
    'creating',
    'starting',
    'stopping',
    'restarting',
    'updating',
    'maintenance',
    'terminating',
    'queued',
    'waiting',
    'deleting',
  ],
  bad: ['failed', 'refuted', 'suspended', 'missing', 'error', 'given-up', 'permanent'],
};

/** A state as a word; its colour says nothing that the word does not. */
export function stateOf(word) {
  const tone = Object.keys(tones).find((name) => tones[name].includes(word));
  return element('span', { class: 'state', 'data-tone': tone }, word);
}

/**
 * A table that becomes a list of cards on narrow screens; its roles are stated, since browsers forget them then.
 * `columns`: heading, the content of a row's cell, and perhaps a class.
 */
export function table(caption, columns, rows) {
  const heads = columns.map(([heading]) => element('th', { scope: 'col', role: 'columnheader' }, heading));
  const body = rows.map((row) => {
    const cells = columns.map(([heading, cell, name]) =>
      element('td', { 'data-label': heading, role: 'cell', class: name }, cell(row)),
    );
    return element('tr', { role: 'row' }, ...cells);
  });
  const made = element(
    'table',
    { 'aria-label': caption, role: 'table' },
    element('thead', { role: 'rowgroup' }, element('tr', { role: 'row' }, ...heads)),
    element('tbody', { role: 'rowgroup' }, ...body),
  );
  return element('div', { class: 'wide' }, made);
}

export function facts(pairs) {
  const parts = pairs.flatMap(([term, value]) => [element('dt', {}, term), element('dd', {}, value)]);
  return element('dl', {}, ...parts);
}

export function labelled(text, field) {
  return element('label', {}, text, field);
}

export function select(attributes, words, chosen = '') {
  const options = words.map(([value, text]) => element('option', { value, selected: value === chosen }, text));
  return element('select', attributes, ...options);
}

/** Puts content in the place of the page's main part and takes the keyboard there. */
export function show(title, ...content) {
  document.title = `${title} · Odoo Fleet`;
  const main = byId('main');
  main.replaceChildren(element('h1', {}, title), ...content.filter((one) => one !== undefined));
}
