import { ask, newKey, read } from './client.js';
import { confirmed } from './confirm.js';
import { dotted, element, labelled, say, select, show, stateOf, table, timeOf } from './elements.js';

const states = ['waiting', 'given-up', 'replayed', 'resolved'];

/** Events that could not be handled, oldest trouble a press away from being tried again. */
export async function deadLettersPage({ query, caller, signal, reload, fail }) {
  const state = query.get('state') ?? '';
  const asked = new URLSearchParams({ limit: '50', total: 'true', ...(state === '' ? {} : { state }) });
  if (query.get('cursor')) asked.set('cursor', query.get('cursor'));
  const { items, total, next } = await read(`v1/dead-events?${asked}`, { signal });
  if (signal.aborted) return;
  const mayWrite = caller.scopes.includes('admin:write');
  const list =
    items.length === 0 ? element('p', {}, 'There are none.') : letterTable(items, { mayWrite, reload, fail });
  show('Dead letters', filterForm(state), list, paging({ total, next, state }));
}

function letterTable(items, { mayWrite, reload, fail }) {
  const columns = [
    ['Number', ({ sequence }) => sequence],
    ['Event', ({ type, receivedBy }) => element('span', {}, dotted(type ?? 'unknown'), ` to ${receivedBy}`)],
    ['Why', ({ reason, reasonCode, lastError }) => `${reasonCode}: ${lastError ?? reason}`],
    ['State', ({ state }) => stateOf(state)],
    ['Received', ({ receivedAt }) => timeOf(receivedAt)],
    ...(mayWrite ? [['What can be done', (letter) => actions(letter, { reload, fail }), 'actions']] : []),
  ];
  return table('Dead letters', columns, items);
}

function actions(letter, ports) {
  if (!['waiting', 'given-up'].includes(letter.state)) return '';
  const button = (text, press, isPossible = true) =>
    element(
      'button',
      { type: 'button', disabled: !isPossible, 'aria-label': `${text} ${letter.sequence}`, onclick: press },
      text,
    );
  return element(
    'span',
    { class: 'buttons' },
    button('Replay', () => act(letter, 'replay', ports), letter.isWhole),
    button('Discard', () => act(letter, 'discard', ports)),
  );
}

const words = {
  replay: { yes: 'Replay', text: 'It is sent again, to its function or to the broker.' },
  discard: { yes: 'Discard', text: 'It is taken as dealt with, and forgotten after a while.', isSevere: true },
};

async function act({ sequence, type }, word, { reload, fail }) {
  const { yes, text, isSevere } = words[word];
  const title = `${yes} dead letter ${sequence}?`;
  const values = await confirmed({ title, text: `${type ?? 'An event of unknown type'}. ${text}`, yes, isSevere });
  if (values === undefined) return;
  try {
    // the records claim it for one replay at a time, so the key is for the log only
    const answer = await ask('POST', `v1/dead-events/${sequence}/${word}`, {
      headers: { 'idempotency-key': newKey() },
    });
    const { fate, detail } = await answer.json();
    say(`Dead letter ${sequence}: ${fate}${detail === null ? '' : `, ${detail}`}.`, fate === 'failed' ? 'bad' : 'good');
    await reload();
  } catch (error) {
    fail(error);
  }
}

function filterForm(state) {
  const show = (event) => {
    event.preventDefault();
    const wanted = event.currentTarget.elements.state.value;
    location.hash = wanted === '' ? '#/dead-letters' : `#/dead-letters?state=${wanted}`;
  };
  const options = [['', 'any'], ...states.map((word) => [word, word])];
  return element(
    'form',
    { class: 'filter', onsubmit: show },
    labelled('State', select({ name: 'state' }, options, state)),
    element('button', { type: 'submit' }, 'Show'),
  );
}

function paging({ total, next, state }) {
  const there = new URLSearchParams({ ...(state === '' ? {} : { state }), cursor: next ?? '' });
  return element(
    'nav',
    { class: 'buttons', 'aria-label': 'Pages' },
    element('span', { class: 'quiet' }, `${total} in all`),
    next === null ? undefined : element('a', { href: `#/dead-letters?${there}`, rel: 'next' }, 'Older ones'),
  );
}
