import { ask, newKey } from './client.js';
import { confirmed } from './confirm.js';
import { element, labelled, say, select } from './elements.js';

const causes = [
  ['billing', 'billing'],
  ['abuse', 'abuse'],
];
const cause = (words) => labelled('Why', select({ name: 'cause' }, words));
const isThere = ({ status }) => !['terminating', 'terminated'].includes(status);

/** What can be asked of an instance: when it makes sense, and what it means to the people who use it. */
const commands = [
  {
    kind: 'start',
    yes: 'Start',
    fits: (one) => isThere(one) && one.desiredState === 'stopped',
    text: 'It runs again, and can be reached.',
  },
  {
    kind: 'stop',
    yes: 'Stop',
    fits: (one) => isThere(one) && one.desiredState === 'running',
    text: 'Whoever works in it is cut off. It stays stopped until it is started.',
  },
  {
    kind: 'restart',
    yes: 'Restart',
    fits: ({ status, desiredState }) => status === 'running' && desiredState === 'running',
    text: 'Its pods are replaced. It may be away for a moment.',
  },
  { kind: 'backup', yes: 'Back up', fits: isThere, text: 'A backup is made; the instance goes on running.' },
  {
    kind: 'verify',
    yes: 'Prove newest backup',
    fits: ({ backups }) => backups.last !== null,
    text: 'Its newest backup is restored aside and compared. The instance is not touched.',
  },
  {
    kind: 'suspend',
    yes: 'Suspend',
    isSevere: true,
    fits: isThere,
    fields: () => [cause(causes)],
    text: 'It is kept from running, and its host shows why.',
  },
  {
    kind: 'resume',
    yes: 'Resume',
    fits: ({ suspensions }) => suspensions.length > 0,
    fields: ({ suspensions }) => [cause(suspensions.map((word) => [word, word]))],
    text: 'This reason of its suspension is closed. It runs again when there is no other.',
  },
  { kind: 'repair', yes: 'Repair', fits: isThere, text: 'What is missing or other than recorded is made right.' },
  {
    kind: 'terminate',
    yes: 'Terminate',
    isSevere: true,
    fits: isThere,
    text: 'It ends for everybody. Its data is kept for a while, in which this can be undone.',
  },
  {
    kind: 'undo',
    yes: 'Undo termination',
    fits: ({ status, purgedAt }) => status === 'terminated' && purgedAt === null,
    text: 'It comes back with its data.',
  },
];

/** Buttons for what the caller may ask of this instance. `onAccepted` is given the operation. */
export function commandButtons(instance, { caller, onAccepted, fail }) {
  const possible = commands.filter(({ kind, fits }) => caller.commands.includes(kind) && fits(instance));
  const buttons = possible.map((command) => {
    const press = (event) => run(command, { instance, button: event.currentTarget, onAccepted, fail });
    return element(
      'button',
      { type: 'button', class: command.isSevere && 'severe', 'data-command': command.kind, onclick: press },
      command.yes,
    );
  });
  return element('div', { class: 'buttons', role: 'group', 'aria-label': 'What can be done' }, ...buttons);
}

async function run({ kind, yes, text, isSevere, fields }, { instance, button, onAccepted, fail }) {
  if (button.getAttribute('aria-disabled') === 'true') return;
  const title = `${yes}: ${instance.name}?`;
  const described = `${instance.name} (${instance.host ?? instance.id}). ${text}`;
  const values = await confirmed({ title, text: described, yes, isSevere, fields: fields?.(instance) });
  if (values === undefined) return;
  // not `disabled`, which would take the keyboard away from it
  button.setAttribute('aria-disabled', 'true');
  try {
    const path = `v1/instances/${encodeURIComponent(instance.id)}/${kind}`;
    const answer = await ask('POST', path, { body: values, key: newKey() });
    say(`${yes}: ${instance.name}. It is accepted.`);
    await onAccepted(await answer.json());
  } catch (error) {
    fail(error);
  } finally {
    button.removeAttribute('aria-disabled');
  }
}
