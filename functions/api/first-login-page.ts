import { createHash } from 'node:crypto';

const style = `:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem}
button{font:inherit;padding:.5rem 1rem}dl{border:1px solid #8886;border-radius:6px;padding:1rem}dd{margin:0 0 .75rem}
code{font:16px/1.4 ui-monospace,monospace;overflow-wrap:anywhere;user-select:all}[hidden]{display:none}`;

// A mail scanner that opens links gets a page and uses nothing up: the token stands behind the #, and wants a press of the button.
const script = `'use strict';
const german = navigator.language.startsWith('de');
const words = german
  ? { title: 'Ihr erstes Passwort', what: 'Es wird nur einmal angezeigt. Halten Sie Ihren Passwort-Speicher bereit.', show: 'Passwort anzeigen',
      login: 'Anmeldung', password: 'Passwort', url: 'Ihr Odoo', change: 'Ändern Sie es nach der ersten Anmeldung.',
      over: 'Dieser Link wurde schon benutzt oder gilt nicht mehr. Bitten Sie uns um ein neues Passwort.', later: 'Das ging jetzt nicht. Versuchen Sie es noch einmal.' }
  : { title: 'Your first password', what: 'It is shown once only. Have the place where you keep passwords at hand.', show: 'Show the password',
      login: 'Login', password: 'Password', url: 'Your Odoo', change: 'Change it after you have logged in.',
      over: 'This link was used already, or its time is over. Ask us for a new password.', later: 'That did not work now. Try again.' };
const part = (id) => document.getElementById(id);
const token = location.hash.slice(1);
history.replaceState(null, '', location.pathname);
document.documentElement.lang = german ? 'de' : 'en';
document.title = words.title;
for (const id of ['title', 'what', 'show', 'login', 'password', 'url', 'change']) part(id).textContent = words[id];
const say = (text) => { part('status').textContent = text; };
if (token === '') { say(words.over); part('show').disabled = true; }
part('show').addEventListener('click', async () => {
  part('show').disabled = true;
  say('');
  try {
    const answer = await fetch('v1/first-login', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ token }), credentials: 'omit', cache: 'no-store' });
    if (answer.status === 404 || answer.status === 400) return say(words.over);
    if (!answer.ok) throw new Error(String(answer.status));
    const shown = await answer.json();
    part('the-login').textContent = shown.login;
    part('the-password').textContent = shown.password;
    part('the-url').textContent = shown.url;
    if (/^https?:/.test(shown.url)) part('the-url').href = shown.url;
    part('shown').hidden = false;
    part('show').hidden = true;
    part('shown').focus();
  } catch {
    say(words.later);
    part('show').disabled = false;
  }
});`;

const digest = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** What the page may do: run its one script, which asks this very server. */
export const firstLoginPolicy = `default-src 'none'; script-src ${digest(script)}; style-src ${digest(style)}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** The same for everybody: what it shows comes when the button is pressed. */
export const firstLoginPage = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex"><title>Your first password</title><style>${style}</style></head><body><main>
<h1 id="title">Your first password</h1><p id="what"></p><noscript><p>This page needs JavaScript.</p></noscript>
<p><button id="show" type="button"></button></p><p id="status" role="status"></p>
<section id="shown" tabindex="-1" hidden><dl><dt id="url"></dt><dd><a id="the-url" rel="noreferrer"></a></dd>
<dt id="login"></dt><dd><code id="the-login"></code></dd><dt id="password"></dt><dd><code id="the-password"></code></dd></dl><p id="change"></p></section>
</main><script>${script}</script></body></html>`;
