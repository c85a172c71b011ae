import { forgetReads, hasChanged, read, session } from './client.js';
import { deadLettersPage } from './dead-letters.js';
import { byId, element, labelled, say, show } from './elements.js';
import { instancePage } from './instance.js';
import { instancesPage } from './instances.js';
import { newInstancePage } from './new-instance.js';
import { pause } from './progress.js';
import { isHeldUp, keepLooking } from './refresh.js';
import { isPassing, tellBack, tellTrouble } from './trouble.js';

const retryMs = 3_000;

/** What is shown now. Aborted when something else is shown, so that nothing old is written over it. */
let shown = new AbortController();
/** Who the token's owner is and what he may ask for: GET /v1/me. */
let caller;

const pages = [
  [/^\/instances$/, 'instances', instancesPage],
  [/^\/instances\/([a-z0-9]+)$/, 'instances', instancePage],
  [/^\/new$/, 'instances', newInstancePage],
  [/^\/dead-letters$/, 'dead-letters', deadLettersPage],
];

/**
 * Shows what the address names. `isMoved`: somebody went there, and the keyboard goes along. `accepted`: the operation that
 * the page has just asked for.
 */
async function open({ isMoved, accepted }) {
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
    forgetReads();
    const [path, query = ''] = (location.hash.slice(1) || '/instances').split('?');
    const [, part, page] = pages.find(([pattern]) => pattern.test(path)) ?? pages[0];
    const id = pages.map(([pattern]) => pattern.exec(path)?.[1]).find(Boolean);
    for (const link of byId('nav').children) {
      if (link.dataset.part === part) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    const reload = (operation) => open({ isMoved: false, accepted: operation });
    await page({ id, query: new URLSearchParams(query), caller, signal, accepted, reload, fail });
    if (signal.aborted) return;
    tellBack();
    if (isMoved) byId('main').focus();
    else if (focused !== undefined) focusAgain(focused);
    void refresh(signal);
  } catch (error) {
    if (signal.aborted) return;
    if (!isPassing(error)) {
      // what stood there before is not what was asked for
      if (isMoved) byId('main').replaceChildren();
      return fail(error);
    }
    tellTrouble(error);
    if (byId('main').childElementCount === 0) show('Not there yet', againButton());
    await pause(Math.max(retryMs, error.retryAfterMs || 0), signal);
    if (!signal.aborted) await open({ isMoved, accepted });
  }
}

/** Shows anew what others have changed. Whoever is filling in or being asked something is left alone. */
async function refresh(signal) {
  await keepLooking(signal, async () => {
    if (isHeldUp()) return;
    try {
      const isOther = await hasChanged({ signal });
      if (signal.aborted) return;
      tellBack();
      if (isOther && !isHeldUp()) await open({ isMoved: false });
    } catch (error) {
      if (signal.aborted) return;
      if (isPassing(error)) tellTrouble(error);
      else fail(error);
    }
  });
}

/** What had the keyboard was replaced: it goes to what took its place, or to the beginning. */
function focusAgain(before) {
  if (before.isConnected) return;
  const same = [...byId('main').querySelectorAll(before.tagName)].find((one) => nameOf(one) === nameOf(before));
  (same ?? byId('main')).focus({ preventScroll: true });
}

const nameOf = (one) =>
  one.dataset.command ?? one.getAttribute('href') ?? one.getAttribute('aria-label') ?? (one.name || one.textContent);

/** Says what went wrong; a token that is not taken any more is forgotten. */
function fail(error) {
  say(error.message, 'bad');
  if (error.status === 401) signOut();
  else if (byId('main').childElementCount === 0) showRefusal(error);
}

/** Asking again helps neither against what is not there nor against what is not his. */
function showRefusal({ status }) {
  const title = { 403: 'Not open to you', 404: 'There is nothing here' }[status];
  if (title === undefined) return show('It did not work', againButton());
  show(title, element('p', {}, element('a', { href: '#/instances' }, 'To the instances')));
}

function againButton() {
  return element('button', { type: 'button', onclick: () => open({ isMoved: true }) }, 'Try again');
}

function showCaller() {
  byId('nav').hidden = false;
  byId('sign-out').hidden = false;
  byId('dead-letters-link').hidden = !caller.scopes.includes('admin:read');
  byId('caller').textContent = `${caller.kind === 'key' ? 'key ' : ''}${caller.id} (${caller.role})`;
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
    labelled('Token or API key', field),
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
// what stands there says that none of this has come
byId('main').replaceChildren();
void open({ isMoved: false });
