import { read, session } from './client.js';
import { deadLettersPage } from './dead-letters.js';
import { byId, element, labelled, say, show } from './elements.js';
import { instancePage } from './instance.js';
import { instancesPage } from './instances.js';

/** What is shown now. Aborted when something else is shown, so that nothing old is written over it. */
let shown = new AbortController();
/** Who the token's owner is and what he may ask for: GET /v1/me. */
let caller;

const pages = [
  [/^\/instances$/, 'instances', instancesPage],
  [/^\/instances\/([a-z0-9]+)$/, 'instances', instancePage],
  [/^\/dead-letters$/, 'dead-letters', deadLettersPage],
];

/** Shows what the address names. `isMoved`: somebody went there, and the keyboard goes along. */
async function open({ isMoved }) {
  shown.abort();
  shown = new AbortController();
  const { signal } = shown;
  const focused = byId('main').contains(document.activeElement) ? document.activeElement : undefined;
  if (isMoved) byId('dialog').close();
  if (session.token() === null) return signInPage();
  try {
    caller ??= await read('v1/me', { signal });
    if (signal.aborted) return;
    showCaller();
    const [path, query = ''] = (location.hash.slice(1) || '/instances').split('?');
    const [, part, page] = pages.find(([pattern]) => pattern.test(path)) ?? pages[0];
    const id = pages.map(([pattern]) => pattern.exec(path)?.[1]).find(Boolean);
    for (const link of byId('nav').children) {
      if (link.dataset.part === part) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    await page({ id, query: new URLSearchParams(query), caller, signal, reload: () => open({ isMoved: false }), fail });
    if (signal.aborted) return;
    if (isMoved) byId('main').focus();
    else if (focused !== undefined) focusAgain(focused);
  } catch (error) {
    if (!signal.aborted) fail(error);
  }
}

/** What had the keyboard was replaced: it goes to what took its place, or to the beginning. */
function focusAgain({ isConnected, dataset: { command } }) {
  if (isConnected) return;
  const same = command === undefined ? null : document.querySelector(`[data-command="${command}"]`);
  (same ?? byId('main')).focus();
}

/** Says what went wrong; a token that is not taken any more is forgotten. */
function fail(error) {
  say(error.message, 'bad');
  if (error.status === 401) signOut();
  else if (byId('main').childElementCount === 0) show('It did not work', againButton());
}

function againButton() {
  return element('button', { type: 'button', onclick: () => open({ isMoved: true }) }, 'Try again');
}

function showCaller() {
  byId('nav').hidden = false;
  byId('sign-out').hidden = false;
  byId('dead-letters-link').hidden = !caller.scopes.includes('admin:read');
  byId('caller').textContent = `${caller.id} (${caller.role})`;
}

function signOut() {
  session.end();
  caller = undefined;
  void open({ isMoved: true });
}

function signInPage() {
  for (const id of ['nav', 'sign-out']) byId(id).hidden = true;
  byId('caller').textContent = '';
  const field = element('input', {
    name: 'token',
    type: 'password',
    autocomplete: 'off',
    spellcheck: 'false',
    required: true,
  });
  const form = element(
    'form',
    { class: 'sign-in', onsubmit: begin },
    element(
      'p',
      { class: 'quiet' },
      'Paste a token or an API key. It is kept in this tab only, until you sign out or close it.',
    ),
    labelled('Token', field),
    element('p', {}, element('button', { type: 'submit', class: 'main' }, 'Sign in')),
  );
  show('Sign in', form);
  field.focus();
}

function begin(event) {
  event.preventDefault();
  const token = new FormData(event.currentTarget).get('token').trim();
  // a header takes nothing else
  if (!/^[\x21-\x7e]+$/.test(token)) return say('That is no token: it has no spaces and no special letters.', 'bad');
  session.begin(token);
  say('');
  void open({ isMoved: true });
}

byId('sign-out').addEventListener('click', () => {
  say('You are signed out.');
  signOut();
});
byId('skip').addEventListener('click', (event) => {
  event.preventDefault();
  byId('main').focus();
});
addEventListener('hashchange', () => {
  say('');
  void open({ isMoved: true });
});
void open({ isMoved: false });
