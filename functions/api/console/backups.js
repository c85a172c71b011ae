import { ask, newKey } from './client.js';
import { confirmed } from './confirm.js';
import { element, facts, momentOf, say, stateOf, table, timeOf } from './elements.js';

/** The newest backups of an instance, with what proves them. `ports`: caller, onAccepted, fail. */
export function backupsPart(instance, { items, next = null }, ports) {
  const hasMore = next !== null;
  const { backups, undoableRestore } = instance;
  const { last, lastProven } = backups;
  const mayRestore =
    ports.caller.commands.includes('restore') && !['terminating', 'terminated'].includes(instance.status);
  const columns = [
    ['Holds the state of', ({ snapshotAt, startedAt }) => timeOf(snapshotAt ?? startedAt)],
    ['State', ({ state }) => stateOf(state)],
    ['Kind', ({ kind }) => kind, 'word'],
    ['Size', ({ sizes }) => (sizes === null ? '' : sizeOf(sizes.dumpBytes + sizes.filesBytes))],
    ['Proof', ({ state, proof, isLastProven }) => (state === 'succeeded' ? proofOf(proof, isLastProven) : '')],
    ...(mayRestore ? [['What can be done', (backup) => restoreButton(backup, { instance, ...ports }), 'actions']] : []),
  ];
  const heading = element('h2', {}, 'Backups');
  if (items.length === 0 && last === null) return [heading, element('p', {}, 'There are none yet.')];
  const summary = facts([
    ['Newest', timeOf(last?.at)],
    ['Last proven', timeOf(lastProven?.at)],
    ...(undoableRestore ? [['Restored', restoredText(undoableRestore)]] : []),
  ]);
  const undo = undoableRestore && mayRestore ? undoButton(undoableRestore, { instance, ...ports }) : undefined;
  const rest = hasMore ? element('p', { class: 'quiet' }, `The ${items.length} newest are shown.`) : undefined;
  return [heading, summary, undo, table('Backups', columns, items), rest];
}

function restoreButton(backup, ports) {
  if (backup.state !== 'succeeded') return '';
  const press = (event) => restore(backup, { ...ports, button: event.currentTarget });
  const label = `Restore the state of ${momentOf(backup.snapshotAt)}`;
  const attributes = { type: 'button', class: 'severe', 'aria-label': label, 'data-command': `restore-${backup.id}` };
  return element('button', { ...attributes, onclick: press }, 'Restore');
}

function restoredText({ at, until }) {
  return element('span', {}, timeOf(at), '; can be undone until ', timeOf(until));
}

function undoButton({ id, at }, ports) {
  const press = (event) =>
    exchange(
      { yes: 'Undo restore', body: { undoes: id }, to: `before the restore of ${momentOf(at)}` },
      { ...ports, button: event.currentTarget },
    );
  const attributes = { type: 'button', class: 'severe', 'data-command': 'undo-restore', onclick: press };
  return element('p', { class: 'buttons' }, element('button', attributes, 'Undo restore'));
}

async function restore({ id, snapshotAt, proof }, ports) {
  const warning = proof.state === 'proven' ? undefined : 'This backup was not proven.';
  await exchange({ yes: 'Restore', body: { backup: id }, to: `on ${momentOf(snapshotAt)}`, warning }, ports);
}

/** Puts the instance back to what it was then, after a question. */
async function exchange({ yes, body, to, warning }, { instance, button, onAccepted, fail }) {
  if (button.getAttribute('aria-disabled') === 'true') return;
  const words = [
    `${instance.name} (${instance.host ?? instance.id}) goes back to what it was ${to}.`,
    'What was entered since then is no longer in it; it is kept aside for some days, in which this can be undone.',
    'Whoever works in it is cut off for a moment.',
    warning,
  ];
  const text = words.filter(Boolean).join(' ');
  const title = `${yes}: ${instance.name}?`;
  if ((await confirmed({ title, text, yes, isSevere: true })) === undefined) return;
  button.setAttribute('aria-disabled', 'true');
  try {
    const path = `v1/instances/${encodeURIComponent(instance.id)}/restore`;
    const answer = await ask('POST', path, { body, key: newKey() });
    say(`${yes}: ${instance.name}. It is accepted.`);
    await onAccepted(await answer.json());
  } catch (error) {
    fail(error);
  } finally {
    button.removeAttribute('aria-disabled');
  }
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
