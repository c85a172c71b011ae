import { read } from './client.js';
import { element, labelled, select, show, stateOf, table, timeOf } from './elements.js';

const statuses = [
  'creating',
  'starting',
  'running',
  'stopping',
  'stopped',
  'restarting',
  'updating',
  'maintenance',
  'suspended',
  'missing',
  'error',
  'terminating',
  'terminated',
];
const pageSize = 20;

/** The list of instances. What is looked for and which page stand in the address, so that it can be kept and gone back to. */
export async function instancesPage({ query, caller, signal }) {
  const page = Math.max(1, Number(query.get('page')) || 1);
  const asked = new URLSearchParams({ limit: String(pageSize), page: String(page), total: 'true' });
  for (const name of ['status', 'search']) if (query.get(name)) asked.set(name, query.get(name));
  const { items, total } = await read(`v1/instances?${asked}`, { signal });
  if (signal.aborted) return;
  const list = items.length === 0 ? element('p', {}, noneText(query)) : instanceTable(items, caller);
  const mayCreate = caller.commands.includes('provision');
  show('Instances', mayCreate ? newLink() : undefined, filterForm(query), list, paging({ query, page, total }));
}

function newLink() {
  return element('p', {}, element('a', { href: '#/new', class: 'button' }, 'New instance'));
}

function noneText(query) {
  return query.has('status') || query.has('search') ? 'None is like that. Look for less.' : 'There are none yet.';
}

function instanceTable(items, caller) {
  const columns = [
    ['Name', ({ id, name }) => element('a', { href: `#/instances/${id}` }, name)],
    ['State', ({ status }) => stateOf(status)],
    ['Host', ({ host }) => host ?? element('span', { class: 'quiet' }, 'given up')],
    ['Plan', ({ plan }) => plan, 'word'],
    ...(caller.customerId === null ? [['Customer', ({ customerId }) => customerId]] : []),
    ['Changed', ({ updatedAt }) => timeOf(updatedAt)],
  ];
  return table('Instances', columns, items);
}

function filterForm(query) {
  const search = element('input', { name: 'search', type: 'search', value: query.get('search') ?? '', maxlength: 63 });
  const words = [['', 'any'], ...statuses.map((word) => [word, word])];
  return element(
    'form',
    { class: 'filter', role: 'search', onsubmit: filter },
    labelled('Part of a name or host', search),
    labelled('State', select({ name: 'status' }, words, query.get('status') ?? '')),
    element('button', { type: 'submit' }, 'Show'),
  );
}

function filter(event) {
  event.preventDefault();
  const wanted = [...new FormData(event.currentTarget)].map(([name, value]) => [name, value.trim()]);
  location.hash = addressOf(new URLSearchParams(wanted.filter(([, value]) => value !== '')));
}

function addressOf(query) {
  const text = query.toString();
  return text === '' ? '#/instances' : `#/instances?${text}`;
}

function paging({ query, page, total }) {
  const last = Math.max(1, Math.ceil(total / pageSize));
  const link = (to, text, rel) => {
    const there = new URLSearchParams(query);
    there.set('page', String(to));
    return element('a', { href: addressOf(there), rel }, text);
  };
  return element(
    'nav',
    { class: 'buttons', 'aria-label': 'Pages' },
    page > 1 ? link(page - 1, 'Previous page', 'prev') : undefined,
    total === 0 ? undefined : element('span', { class: 'quiet' }, `Page ${page} of ${last}, ${total} in all`),
    page < last ? link(page + 1, 'Next page', 'next') : undefined,
  );
}
