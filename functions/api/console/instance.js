import { read } from './client.js';
import { commandButtons } from './commands.js';
import { byId, element, facts, show, stateOf, table, timeOf } from './elements.js';
import { follow } from './progress.js';

/** One instance: its state, how far its operation is, its backups, and what can be done. */
export async function instancePage({ id, caller, signal, reload, fail }) {
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
    ...backupsOf(instance, backups.items),
  );
  if (instance.operation !== null && caller.scopes.includes('operations:read'))
    watch(instance.operation, { signal, reload, fail });
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
  );
}

/** Told aloud: kind, state and step. The figures change too often for that. */
function watch(operation, { signal, reload, fail }) {
  showProgress(operation);
  const onProgress = (now) => {
    if (signal.aborted) return;
    showProgress(now);
    if (['succeeded', 'failed', 'cancelled'].includes(now.state)) void ended(now, { signal, reload });
  };
  follow(operation.id, { onProgress, signal }).catch((error) => {
    if (!signal.aborted) fail(error);
  });
}

function showProgress({ kind, state, step, waitingFor, progress, error }) {
  byId('progress').hidden = false;
  const words = [`${kind}: ${state}`, step && `step ${step}`, waitingFor && `waiting for ${waitingFor}`, error?.text];
  const text = words.filter(Boolean).join(', ');
  // said again only when it is news
  if (byId('progress-state').textContent !== text) byId('progress-state').textContent = text;
  byId('progress-figures').textContent = Object.entries(progress ?? {})
    .filter(([, value]) => typeof value !== 'object')
    .map(([name, value]) => `${name} ${typeof value === 'number' ? value.toLocaleString() : value}`)
    .join(' · ');
}

async function ended(operation, { signal, reload }) {
  // nobody's question is taken away while it is read
  if (byId('dialog').open)
    await new Promise((resolve) => byId('dialog').addEventListener('close', resolve, { once: true }));
  if (signal.aborted) return;
  await reload();
  // what follows it may be at work already
  if (byId('progress')?.hidden) showProgress(operation);
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

function backupsOf({ backups: { last, lastProven } }, items) {
  const columns = [
    ['Holds the state of', ({ snapshotAt, startedAt }) => timeOf(snapshotAt ?? startedAt)],
    ['State', ({ state }) => stateOf(state)],
    ['Kind', ({ kind }) => kind],
    ['Size', ({ sizes }) => (sizes === null ? '' : sizeOf(sizes.dumpBytes + sizes.filesBytes))],
    ['Proof', ({ proof, isLastProven }) => proofOf(proof, isLastProven)],
  ];
  const summary = facts([
    ['Newest', timeOf(last?.at)],
    ['Last proven', timeOf(lastProven?.at)],
  ]);
  const list = items.length === 0 ? element('p', {}, 'There are none yet.') : table('Backups', columns, items);
  return [element('h2', {}, 'Backups'), summary, list];
}

function proofOf({ state, at, text }, isLastProven) {
  if (state === 'none') return element('span', { class: 'quiet' }, 'not yet');
  const words = [isLastProven ? ' (last proven) ' : ' ', timeOf(at), text === null ? undefined : ` ${text}`];
  return element('span', {}, stateOf(state), ...words);
}

function sizeOf(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const shown = (bytes / 1000 ** power).toLocaleString(undefined, { maximumFractionDigits: power === 0 ? 0 : 1 });
  return `${shown} ${units[power]}`;
}
