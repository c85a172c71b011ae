/** The kinds of work on an instance; one Knative Service each, the same word in folder, manifest and `opkind`. */
export const operationKinds = [
  'provision',
  'start',
  'stop',
  'restart',
  'suspend',
  'resume',
  'terminate',
  'undo',
  'purge',
  'repair',
  'backup',
  'verify',
  'restore',
  'clone',
  'import',
  'export',
] as const;
export type OperationKind = (typeof operationKinds)[number];

/** The first operation of an instance is one of these: it makes it. */
export const makingKinds = ['provision', 'clone', 'import'] as const satisfies readonly OperationKind[];

export function isMaking(kind: OperationKind): kind is (typeof makingKinds)[number] {
  return (makingKinds as readonly OperationKind[]).includes(kind);
}

/** `failed` is not the end: `retry` continues it where it stopped, `cancel` undoes what it made. */
export type OperationState = 'queued' | 'running' | 'waiting' | 'succeeded' | 'failed' | 'cancelled';

/** A requested piece of work on one instance, as the platform's records hold it. */
export type Operation = {
  /** UUIDv7. */
  id: string;
  instanceId: string;
  kind: OperationKind;
  /** Version of the list of steps it was begun with; a runner that does not know it leaves it alone. */
  definitionVersion: number;
  state: OperationState;
  /** Name of the step it stands at; null before the first. */
  step: string | null;
  /** Tries of the current step, from 1. */
  attempt: number;
  /** Begun with 1; a person's `retry` raises it. Names of Jobs carry it. */
  round: number;
  /** Grows with every taking of the lease; a write under an older one is refused in every store. */
  fence: number;
  /** The instance's generation at its first turn: what it brings about. */
  generation: number;
  /** What it last waited for, in words; null when it never did in this step. */
  waitingFor: string | null;
  /** By the database's clock. */
  deadline: Date;
  deadlinePassed: boolean;
  /** Since its lease was taken for the first time, by the database's clock. */
  ageMs: number;
  cancelRequested: boolean;
  /** The later operation that ends this one: it stops where it stands, and undoes nothing. */
  overtakenBy: string | null;
  requestedBy: string;
  /** Id of the event that asked for it. */
  cause: string;
  /** What was asked, as parsed from the event; never a secret. */
  request: unknown;
};
