import type { OperationKind } from './operation.ts';
import type { OperationDefinition } from './step.ts';

type DefinitionFacts = Pick<OperationDefinition<never>, 'version' | 'deadlineMs' | 'cancel'> & {
  /** Other versions that unfinished operations may have been begun with; the function has their steps. */
  others?: readonly { version: number }[];
};

const minutes = 60_000;
const hours = 60 * minutes;

/**
 * What accepting a request needs to know of a kind's definition, also where its steps are not: the function adds those.
 * `deadlineMs` counts from the first turn.
 */
export const definitionFacts = {
  // The longest initialisation by a Job (a large set of modules) several times over. An operation that waits for room on a
  // server ends with it too, as failed; a retry goes on waiting.
  provision: { kind: 'provision', version: 1, deadlineMs: 30 * minutes, cancel: 'undoes' },
  // The startup probe gives Odoo 5 minutes; a node that has to be added first takes as long again.
  start: { kind: 'start', version: 1, deadlineMs: 15 * minutes, cancel: 'refused' },
  // A minute for scheduled actions, a minute of grace for pods, and patience with a busy cluster.
  stop: { kind: 'stop', version: 1, deadlineMs: 10 * minutes, cancel: 'refused' },
  // As a start, with the stop before it.
  restart: { kind: 'restart', version: 1, deadlineMs: 20 * minutes, cancel: 'refused' },
  suspend: { kind: 'suspend', version: 1, deadlineMs: 10 * minutes, cancel: 'refused' },
  resume: { kind: 'resume', version: 2, deadlineMs: 15 * minutes, cancel: 'refused' },
  // As a stop, and the database's way aside.
  terminate: { kind: 'terminate', version: 1, deadlineMs: 20 * minutes, cancel: 'refused' },
  // As a start, and the database's way back.
  undo: { kind: 'undo', version: 1, deadlineMs: 20 * minutes, cancel: 'refused' },
  purge: { kind: 'purge', version: 2, deadlineMs: 20 * minutes, cancel: 'refused', others: [{ version: 1 }] },
  repair: { kind: 'repair', version: 1, deadlineMs: 15 * minutes, cancel: 'refused' },
  // The Job's time, and waiting for a slot.
  backup: { kind: 'backup', version: 1, deadlineMs: 8 * hours, cancel: 'undoes' },
  verify: { kind: 'verify', version: 2, deadlineMs: 8 * hours, cancel: 'undoes', others: [{ version: 1 }] },
  // The Job's time, and the switch.
  restore: { kind: 'restore', version: 1, deadlineMs: 8 * hours, cancel: 'undoes' },
  // A large database takes its time.
  clone: { kind: 'clone', version: 1, deadlineMs: 8 * hours, cancel: 'undoes' },
  import: { kind: 'import', version: 1, deadlineMs: 8 * hours, cancel: 'undoes' },
  export: { kind: 'export', version: 1, deadlineMs: 8 * hours, cancel: 'undoes' },
} as const satisfies { [Kind in OperationKind]: DefinitionFacts & { kind: Kind } };
