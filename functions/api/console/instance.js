import { backupsPart } from './backups.js';
import { ask, newKey, read } from './client.js';
import { commandButtons } from './commands.js';
import { byId, element, facts, say, show, stateOf, timeOf } from './elements.js';
import { follow } from './progress.js';
import { tellBack, tellTrouble } from './trouble.js';

/** One instance: its state, how far its operation is, its backups, and what can be done. */
export async function instancePage({ id, caller, signal, accepted, reload, fail }) {
  const path = encodeURIComponent(id);
  const [instance, backups] = await Promise.all([
    read(`v1/instances/${path}`, { signal }),
    caller.scopes.includes('backups:read') ? read(`v1/backups?instance=${path}&limit=10`, { signal }) : { items: [] },
  ]);
  if (signal.aborted) return;
  const buttons = commandButtons(instance, { caller, onAccepted: reload, fail });
  show(
    instance.name,
    stateLine(instance),
    buttons,
    progressPart(),
    ...factsOf(instance, caller),
    ...backupsPart(instance, backups, { caller, onAccepted: reload, fail }),
  );
  // what was asked for may have ended by now
  const operation = instance.operation ?? accepted;
  if (operation && caller.scopes.includes('operations:read')) watch(operation, { caller, signal, reload, fail });
}

function stateLine({ status, statusReason, suspensions }) {
  const why = [statusReason, ...suspensions.map((reason) => `suspended for ${reason}`)].filter(Boolean).join('; ');
  return element('p', { id: 'state' }, stateOf(status), why === '' ? undefined : ` ${why}`);
}

function progressPart() {
  return element(
    'section',
    { class: 'progress', id: 'progress', 'aria-label': 'What is at work', hidden: true },
    element('p', { id: 'progress-state', 'aria-live': 'polite' }),
    element('p', { id: 'progress-figures', class: 'quiet' }),
    element('p', { id: 'progress-actions' }),
  );
}

/** Told aloud: kind, state and step. The figures change too often for that. */
function watch(operation, ports) {
  const { signal, fail } = ports;
  showProgress(operation);
  byId('progress').dataset.followed = '';
  const onProgress = (now) => {
    if (signal.aborted) return;
    tellBack();
    showProgress(now);
    if (!['succeeded', 'failed', 'cancelled'].includes(now.state)) return;
    delete byId('progress').dataset.followed;
    void ended(now, ports);
  };
  follow(operation.id, { onProgress, onTrouble: tellTrouble, signal }).catch((error) => {
    if (!signal.aborted) fail(error);
  });
}

function showProgress({ kind, state, step, waitingFor, progress, error }) {
  byId('progress').hidden = false;
  const now = ['succeeded', 'cancelled'].includes(state) ? null : step;
  const words = [`${kind}: ${state}`, now && `step ${now}`, waitingFor && `waiting for ${waitingFor}`];
  const text = `${words.filter(Boolean).join(', ')}${error ? `. ${error.text}` : ''}`;
  // said again only when it is news
  if (byId('progress-state').textContent !== text) byId('progress-state').textContent = text;
  byId('progress-figures').textContent = Object.entries(progress ?? {})
    .filter(([, value]) => typeof value !== 'object')
    .map(([name, value]) => `${name} ${typeof value === 'number' ? value.toLocaleString() : value}`)
    .join(' · ');
}

/** For what has failed, where the caller may ask for it: it goes on where it stopped. */
function retryButton({ id, kind }, { reload, fail }) {
  const press = async ({ currentTarget: button }) => {
    if (button.getAttribute('aria-disabled') === 'true') return;
    button.setAttribute('aria-disabled', 'true');
    try {
      await ask('POST', `v1/operations/${id}/retry`, { key: newKey() });
      say(`${kind} is tried again.`);
      await reload();
    } catch (error) {
      fail(error);
    } finally {
      button.removeAttribute('aria-disabled');
    }
  };
  return element('button', { type: 'button', onclick: press }, 'Try again');
}

async function ended(operation, ports) {
  const { caller, signal, reload } = ports;
  // nobody's question is taken away while it is read
  if (byId('dialog').open)
    await new Promise((resolve) => byId('dialog').addEventListener('close', resolve, { once: true }));
  if (signal.aborted) return;
  await reload();
  // what follows it may be at work already
  if (!byId('progress')?.hidden) return;
  showProgress(operation);
  const mayRetry = caller.scopes.includes('instances:write') && caller.commands.includes(operation.kind);
  if (operation.state === 'failed' && mayRetry) byId('progress-actions').replaceChildren(retryButton(operation, ports));
}

function factsOf(instance, caller) {
  const { url, host } = instance;
  const place =
    url === null ? 'given up' : element('a', { href: safe(url), rel: 'noreferrer noopener', target: '_blank' }, host);
  const pairs = [
    ['Host', place],
    ['Id', element('code', {}, instance.id)],
    ['Wanted', instance.desiredState],
    ['Plan', instance.plan],
    ['Image', instance.image],
    ['Modules', instance.modules.join(', ') || 'none'],
    ['First login', instance.adminLogin],
    ['Made', timeOf(instance.createdAt)],
    ...(instance.clonedFrom === null
      ? []
      : [['Copy of', element('a', { href: `#/instances/${instance.clonedFrom}` }, instance.clonedFrom)]]),
    ...(instance.purgeAfter === null ? [] : [['Data kept until', timeOf(instance.purgeAfter)]]),
    ...(caller.customerId === null
      ? [
          ['Customer', instance.customerId],
          ['Database server', instance.databaseServer ?? 'none'],
        ]
      : []),
  ];
  return [element('h2', {}, 'Facts'), facts(pairs)];
}

/** Nothing but a web address becomes a link. */
function safe(url) {
  return /^https?:\/\//.test(url) ? url : undefined;
}
