import type { InstanceStatus, SuspensionReason } from '../instance/instance.ts';
import type { OperationKind } from '../operation/operation.ts';
import type { InstanceRecord, SeenInstance } from './world.ts';

// Records that were restored from a backup are older than the world. What the world shows of the time since is put into them;
// what it does not show is said.

/** An instance as the restored records have it. */
export type RecordedInstance = {
  id: string;
  desiredState: 'running' | 'stopped' | 'terminated';
  status: InstanceStatus;
  suspensions: readonly SuspensionReason[];
  host: string | null;
  serverId: string | null;
  restartedBy: string | null;
  isMade: boolean;
  isPurged: boolean;
  terminatedAt: Date | null;
  /** Kinds of its unfinished operations. */
  underWay: readonly OperationKind[];
};

/** What is written into a row; a field that is not there stays. */
export type Correction = {
  instanceId: string;
  /** A sentence. */
  why: string;
  desiredState?: RecordedInstance['desiredState'];
  status?: InstanceStatus;
  host?: string | null;
  /** Of a row that had none: where its database is. */
  serverId?: string;
  tombstone?: 'set' | 'lifted';
  opens?: SuspensionReason;
  closesSuspensions?: true;
  restartedBy?: string;
  isPurged?: true;
};

export type Verdict = { correction?: Correction; report?: string };

/** They say themselves how the instance is to be; when they go on, they bring it about. */
const intentKinds: readonly OperationKind[] = [
  'provision',
  'clone',
  'import',
  'start',
  'stop',
  'suspend',
  'resume',
  'terminate',
  'undo',
  'purge',
  // while it exchanges the two sides no pods run
  'restore',
];

const sentence = (id: string, text: string): string => `Instance ${id} ${text}`;

/**
 * What became of an instance since its row was backed up. Pure. The world wins, except over what was under way at that time:
 * such an operation goes on, and what it may undo is reported.
 */
export function verdictOn(
  row: RecordedInstance,
  seen: SeenInstance | undefined,
  evidence: {
    /** One that was made since the instance was terminated, or, of one that was not, since the backup of the records. */
    hasFinalBackup: boolean;
  },
): Verdict {
  const { id } = row;
  const live = seen?.liveOn ?? [];
  const aside = seen?.asideOn ?? [];
  if (row.isPurged) {
    if (live.length + aside.length === 0) return {};
    return {
      report: sentence(id, `was purged, and has a database on ${[...live, ...aside].join(', ')}. Look whose it is.`),
    };
  }
  if (live.length + aside.length > 1) {
    return {
      report: sentence(id, `has several databases (on ${[...live, ...aside].join(', ')}). Nothing was changed.`),
    };
  }
  const place = live[0] ?? aside[0];
  if (place !== undefined && row.serverId !== null && place !== row.serverId) {
    return { report: sentence(id, `is on server ${place}, its row says ${row.serverId}. Nothing was changed.`) };
  }
  if (place === undefined) return withoutDatabase(row, seen, evidence);
  // else its making would put it on a second one
  const placed = row.serverId === null ? { serverId: place } : {};
  if (aside.length === 1)
    return row.desiredState === 'terminated' ? {} : { correction: { ...terminated(row), ...placed } };
  if (row.isMade || row.desiredState === 'terminated') return withDatabase(row, seen);
  const copied = row.underWay.find((kind) => kind === 'clone' || kind === 'import');
  if (copied !== undefined) {
    return {
      report: sentence(id, `was being made (${copied}), and its database is there: see how that operation ends.`),
    };
  }
  if (row.serverId !== null) return {};
  return { correction: { instanceId: id, why: sentence(id, `is being made on server ${place}.`), ...placed } };
}

function terminated({ id }: RecordedInstance): Correction {
  return {
    instanceId: id,
    why: sentence(id, 'was terminated since: its database is set aside. Its undo window begins now.'),
    desiredState: 'terminated',
    status: 'terminated',
    host: null,
    tombstone: 'set',
    closesSuspensions: true,
  };
}

function withoutDatabase(
  row: RecordedInstance,
  seen: SeenInstance | undefined,
  { hasFinalBackup }: { hasFinalBackup: boolean },
): Verdict {
  const { id } = row;
  if (!row.isMade && row.desiredState !== 'terminated') {
    return row.underWay.length > 0 ? {} : { report: sentence(id, 'was never made, and nothing of it is there.') };
  }
  const { cluster } = seen ?? {};
  const isBare = cluster === undefined || (!cluster.hasVolume && cluster.deployment === undefined);
  if (isBare && hasFinalBackup) {
    const why = sentence(id, 'was purged since: neither database nor volume is there, and its final backup is.');
    const purged = { status: 'terminated', host: null, closesSuspensions: true, isPurged: true } as const;
    const ended = row.desiredState === 'terminated' ? {} : ({ desiredState: 'terminated', tombstone: 'set' } as const);
    return { correction: { instanceId: id, why, ...purged, ...ended } };
  }
  const wasPurged =
    isBare && row.desiredState === 'terminated' ? ' It may have been purged without a final backup.' : '';
  return { report: sentence(id, `has no database on any server. Nothing was changed.${wasPurged}`) };
}

function withDatabase(row: RecordedInstance, seen: SeenInstance | undefined): Verdict {
  const { id } = row;
  const { deployment, ingress } = seen?.cluster ?? {};
  const pending = row.underWay.filter((kind) => intentKinds.includes(kind));
  if (deployment === undefined || ingress === undefined) {
    if (pending.length > 0) return {};
    return {
      report: sentence(id, 'has its database, and not all of its objects in the cluster. Nothing was changed.'),
    };
  }
  const correction = alive(row, { deployment, ingress });
  if (correction === undefined) return {};
  if (pending.length > 0) {
    return {
      report: sentence(id, `had ${pending.join(', ')} under way, which goes on. The world says: ${correction.why}`),
    };
  }
  return { correction };
}

type Running = {
  deployment: { replicas: number; restartedBy: string | null };
  ingress: { host: string; suspendedFor: SuspensionReason | undefined };
};

/** What a living instance's row should say; undefined when it does. */
function alive(row: RecordedInstance, { deployment, ingress }: Running): Correction | undefined {
  const { id } = row;
  const { suspendedFor } = ingress;
  const runs = deployment.replicas > 0;
  const news: string[] = [];
  const change: Omit<Correction, 'instanceId' | 'why'> = {};
  if (row.desiredState === 'terminated') {
    news.push('was brought back since');
    change.tombstone = 'lifted';
    change.desiredState = runs || suspendedFor !== undefined ? 'running' : 'stopped';
  }
  if (suspendedFor !== undefined && !row.suspensions.includes(suspendedFor)) {
    news.push(`was suspended since (${suspendedFor})`);
    change.opens = suspendedFor;
  }
  if (suspendedFor === undefined && row.suspensions.length > 0) {
    news.push('was resumed since');
    change.closesSuspensions = true;
  }
  if (runs && row.desiredState === 'stopped') {
    news.push('was started since');
    change.desiredState = 'running';
  }
  // one that is suspended runs no pods either way
  if (!runs && suspendedFor === undefined && row.desiredState === 'running') {
    news.push('was stopped since');
    change.desiredState = 'stopped';
  }
  if (ingress.host !== '' && ingress.host !== row.host) {
    news.push(`has the host ${ingress.host}`);
    change.host = ingress.host;
  }
  if (deployment.restartedBy !== null && deployment.restartedBy !== row.restartedBy) {
    news.push('was restarted since');
    change.restartedBy = deployment.restartedBy;
  }
  if (news.length === 0) return undefined;
  const status = suspendedFor === undefined ? (runs ? 'running' : 'stopped') : 'suspended';
  return { instanceId: id, why: sentence(id, `${news.join(', ')}.`), ...change, status };
}

/** A row that is entered for an instance that has none. */
export type Entry = {
  instanceId: string;
  why: string;
  record: InstanceRecord;
  serverId: string;
  host: string | null;
  desiredState: RecordedInstance['desiredState'];
  status: InstanceStatus;
  suspendedFor: SuspensionReason | undefined;
  restartedBy: string | null;
  isTerminated: boolean;
};

/**
 * What becomes of an instance that no row knows: it was made since. Entered again from what its volume claim carries, or
 * reported. One of which only fences are left was made and purged, or was never finished: there is nothing to say.
 */
export function entryFor(seen: SeenInstance): { entry?: Entry; report?: string } {
  const { id, liveOn, asideOn, cluster } = seen;
  const databases = [...liveOn, ...asideOn];
  if (databases.length === 0) {
    if (cluster === undefined) return {};
    return {
      report: sentence(
        id,
        'has objects in the cluster, no row, and no database on the servers that were read. See first that db_servers has all of ' +
          'them; one whose making was not finished is made by its request, sent again.',
      ),
    };
  }
  const [serverId] = databases;
  const record = cluster?.record;
  if (databases.length > 1 || serverId === undefined || cluster === undefined || record === undefined) {
    const where = `It has a database on ${databases.join(', ')}`;
    return { report: sentence(id, `has no row, and nothing says whose it is. ${where}. It was not touched.`) };
  }
  const base = { instanceId: id, record, serverId, restartedBy: cluster.deployment?.restartedBy ?? null };
  if (asideOn.length === 1) {
    const why = sentence(id, 'was made and terminated since. Its undo window begins now.');
    const state = { desiredState: 'terminated', status: 'terminated', suspendedFor: undefined } as const;
    return { entry: { ...base, why, host: null, ...state, isTerminated: true } };
  }
  const { deployment, ingress } = cluster;
  if (deployment === undefined || ingress === undefined) {
    return { report: sentence(id, 'has no row, and its making was not finished: send its request again.') };
  }
  const { suspendedFor } = ingress;
  const runs = deployment.replicas > 0;
  const status = suspendedFor === undefined ? (runs ? 'running' : 'stopped') : 'suspended';
  const desiredState = runs || suspendedFor !== undefined ? 'running' : 'stopped';
  const why = sentence(id, `(${ingress.host}) was made since.`);
  return { entry: { ...base, why, host: ingress.host, desiredState, status, suspendedFor, isTerminated: false } };
}

/** Events that wait a moment before their publication are the rule: the world that went on has sent them. */
const inFlightMs = 60_000;

/**
 * Is an event that was waiting when the backup was made to be sent? What tells of something is: whoever has it already knows it
 * by its id. Hints are not, as the tick gives them anew, and neither are commands that were just about to go out: they have
 * been carried out since, and later ones may have followed.
 */
export function isSentAgain(event: { type: string; createdAt: Date }, snapshotAt: Date): boolean {
  if (event.type === 'dev.odoofleet.operation.advance') return false;
  const isCommand = event.type.endsWith('.requested');
  return !isCommand || event.createdAt.getTime() < snapshotAt.getTime() - inFlightMs;
}
