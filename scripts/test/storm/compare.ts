import { backupsOf, mayFail } from './compare-backups.ts';
import { sidesOf } from './compare-sides.ts';
import { lastNews, type ModelInput, type ModelResult } from './model.ts';
import type { InstanceRow, ObjectSeen, Observed, OperationRow } from './observe.ts';
import type { StormPlan } from './plan.ts';
import type { ModelInstance } from './rules.ts';

/** Findings that a fleet at rest may have: a purge that a person may ask for, a pool that is being filled. */
export const expectedFindings = ['purge-due', 'warm-pool-low'];

/** What is not as it should be, by subject; all empty after a storm that the platform survived. */
export type Violations = Readonly<Record<string, readonly string[]>>;

export type Compared = { plan: StormPlan; observed: Observed; input: ModelInput; model: ModelResult };

/** Holds the world after the storm against the model. Pure. */
export function compare(compared: Compared): Violations {
  return {
    'decisions the model does not come to': compared.model.disagreements,
    'instances that are not where the model says': instancesOf(compared),
    'bills that are not carried out': billsOf(compared),
    'operations without an end, or failed': operationsOf(compared.observed),
    'databases and roles': [...databasesOf(compared), ...rolesOf(compared), ...sidesOf(compared)],
    'objects in the cluster': objectsOf(compared),
    backups: backupsOf(compared.observed),
    pages: pagesOf(compared),
    'findings of reconcile': findingsOf(compared.observed),
    counters: countersOf(compared.observed),
    audit: auditOf(compared),
    'events that never arrived': lostOf(compared),
    outbox: compared.observed.unpublished === 0 ? [] : [`${compared.observed.unpublished} events are unpublished`],
    'dead events nobody explains': deadOf(compared.observed),
  };
}

/** The status an instance rests in. */
export function restOf({ desired, suspensions }: ModelInstance): string {
  if (desired === 'terminated') return 'terminated';
  return suspensions.size > 0 ? 'suspended' : desired;
}

function instancesOf({ model, observed, plan }: Compared): string[] {
  const rows = new Map(observed.instances.map((row) => [row.id, row]));
  const missing = [...model.instances.keys()].filter((id) => !rows.has(id)).map((id) => `${id}: has no row`);
  const names = Map.groupBy([...plan.instances, ...plan.latecomers], ({ name }) => name);
  const wrong = observed.instances.flatMap((row) => {
    const expected = model.instances.get(row.id);
    if (expected === undefined) return [`${row.id}: the model knows nothing of it`];
    const isShared = (names.get(row.name)?.length ?? 0) > 1;
    return differences(row, expected, isShared).map((text) => `${row.id} (${row.name}): ${text}`);
  });
  return [...missing, ...wrong];
}

function differences(row: InstanceRow, expected: ModelInstance, isShared: boolean): string[] {
  const isTerminated = expected.desired === 'terminated';
  // nothing was ever brought about of one whose making was overtaken
  const observed = expected.isMade ? row.generation : 0;
  const hosts = [`${row.name}.localhost`, ...(isShared ? [`${row.name}-${row.id.slice(0, 6)}.localhost`] : [])];
  const checks: [what: string, found: unknown, isRight: boolean, wanted: unknown][] = [
    ['desired state', row.desired_state, row.desired_state === expected.desired, expected.desired],
    ['status', row.status, row.status === restOf(expected), restOf(expected)],
    [
      'open suspensions',
      row.suspensions.join(),
      row.suspensions.join() === [...expected.suspensions].sort().join(),
      [...expected.suspensions].sort().join(),
    ],
    ['generation', row.generation, row.generation === expected.generation, expected.generation],
    ['observed generation', row.observed_generation, row.observed_generation === observed, observed],
    [
      'host',
      row.host,
      isTerminated ? row.host === null : hosts.includes(row.host ?? ''),
      isTerminated ? null : hosts.join(' or '),
    ],
    ['purged', row.purged_at !== null, (row.purged_at !== null) === expected.isPurged, expected.isPurged],
  ];
  return checks
    .filter(([, , isRight]) => !isRight)
    .map(([what, found, , wanted]) => `${what} is ${String(found)}, not ${String(wanted)}`);
}

/** Billing's suspension follows the last news while the instance lives; what has ended is not suspended any more. */
function billsOf({ input, model }: Compared): string[] {
  return [...lastNews(input)].flatMap(([id, news]) => {
    const instance = model.instances.get(id);
    if (instance === undefined || instance.desired === 'terminated') return [];
    const isSuspended = instance.suspensions.has('billing');
    if (news === 'cancelled') return [`${id}: its subscription is cancelled, and it is not terminated`];
    if (isSuspended === (news === 'overdue')) return [];
    return [`${id}: the last news was ${news}, and it is ${isSuspended ? '' : 'not '}suspended for billing`];
  });
}

function operationsOf({ operations }: Observed): string[] {
  const text = ({ id, instance_id, kind, state, step, ...row }: OperationRow) =>
    `${kind} ${id} of ${instance_id} is ${state} in ${step}: ` +
    (state === 'failed' ? `${row.error_code} ${row.error_text}` : `${row.waiting_for}, due since ${row.overdue} s`);
  const isWell = ({ kind, state }: OperationRow) =>
    state === 'succeeded' || state === 'cancelled' || (state === 'failed' && mayFail.includes(kind));
  return operations.filter((one) => !isWell(one)).map(text);
}

function databasesOf({ observed, model }: Compared): string[] {
  const rows = new Map(observed.instances.map((row) => [row.id, row]));
  const wrong: string[] = [];
  const found = new Set<string>();
  for (const { id: server, databases } of observed.servers) {
    for (const { name, isOpen } of databases) {
      const [, kind, id = ''] = /^(odoo|tombstone|making|trash|quarantine)_([a-z2-7]{12})/.exec(name) ?? [];
      if (kind === undefined) {
        if (/^(making|trash|building|filling|quarantine)_/.test(name)) wrong.push(`${server}: ${name} was left over`);
        continue;
      }
      found.add(id);
      const expected = model.instances.get(id);
      const row = rows.get(id);
      const wanted = expected?.desired === 'terminated' ? `tombstone_${id}` : `odoo_${id}`;
      if (expected === undefined || expected.isPurged) wrong.push(`${server}: ${name} belongs to nobody`);
      else if (name !== wanted) wrong.push(`${server}: ${name} should be ${wanted}`);
      else if (isOpen !== (kind === 'odoo')) wrong.push(`${server}: ${name} is ${isOpen ? 'open' : 'closed'}`);
      else if (row?.db_server_id !== server) wrong.push(`${server}: ${name} should be on ${row?.db_server_id}`);
    }
  }
  const missing = [...model.instances].filter(([id, { isMade, isPurged }]) => isMade && !isPurged && !found.has(id));
  return [...wrong, ...missing.map(([id]) => `${id}: its database is on no server`)];
}

function rolesOf({ observed, model, plan }: Compared): string[] {
  return observed.servers.flatMap(({ id: server, roles }, index) => {
    const wasDown = plan.mishaps.some((mishap) => mishap.what === 'odoo-server-down' && mishap.server === index);
    return roles.flatMap(({ name, mayLogin }) => {
      const backedUp = /^odoo_([a-z2-7]{12})_backup$/.exec(name)?.[1];
      const mayBeLeft = wasDown && model.instances.get(backedUp ?? '')?.isPurged === false;
      if (mayBeLeft && isLastBackupUndone(observed.operations, backedUp)) return [];
      const [, id = '', owner] = /^odoo_([a-z2-7]{12})(_owner)?$/.exec(name) ?? [];
      const expected = model.instances.get(id);
      if (expected === undefined || expected.isPurged) return [`${server}: role ${name} belongs to nobody`];
      const isRight = owner !== undefined || mayLogin === (expected.desired !== 'terminated');
      return isRight ? [] : [`${server}: role ${name} may ${mayLogin ? '' : 'not '}log in`];
    });
  });
}

/**
 * A backup that does not end well waits for no server that is away: its role stays there, and nobody has its password, until
 * the next backup of the instance closes it, or its purge.
 */
function isLastBackupUndone(operations: readonly OperationRow[], instanceId: string | undefined): boolean {
  const backups = operations.filter(({ instance_id, kind }) => instance_id === instanceId && kind === 'backup');
  // their ids begin with the time
  const last = backups.toSorted((one, other) => (one.id < other.id ? -1 : 1)).at(-1);
  return last?.state === 'cancelled' || last?.state === 'failed';
}

const living = ['Deployment', 'Ingress', 'NetworkPolicy', 'PersistentVolumeClaim', 'Secret', 'Secret', 'Service'];
const kept = ['PersistentVolumeClaim', 'Secret'];

function objectsOf({ observed, model }: Compared): string[] {
  const rows = new Map(observed.instances.map((row) => [row.id, row]));
  const ofInstance = Map.groupBy(observed.objects, ({ name }) => /^odoo-([a-z2-7]{12})/.exec(name)?.[1]);
  const ids = [...new Set([...ofInstance.keys(), ...model.instances.keys()])].filter((id) => id !== undefined);
  return ids.flatMap((id) => {
    const expected = model.instances.get(id);
    const objects = ofInstance.get(id) ?? [];
    const kinds = objects
      .filter(({ kind }) => kind !== 'Pod' && kind !== 'Event')
      .map(({ kind }) => kind)
      .sort()
      .join();
    if (expected === undefined || expected.isPurged)
      return objects.length === 0 ? [] : [`${id}: ${kinds} belong to nobody`];
    if (expected.desired === 'terminated') {
      // One that was never made may have less to keep.
      const isRight = kinds === kept.join() || (!expected.isMade && objects.every(({ kind }) => kept.includes(kind)));
      return isRight ? [] : [`${id}: is terminated and has ${kinds}`];
    }
    if (kinds !== living.join()) return [`${id}: has ${kinds}`];
    return workloadOf(objects, { expected, restartedBy: rows.get(id)?.restarted_by ?? undefined }).map(
      (text) => `${id}: ${text}`,
    );
  });
}

function workloadOf(
  objects: readonly ObjectSeen[],
  { expected, restartedBy }: { expected: ModelInstance; restartedBy: string | undefined },
): string[] {
  const deployment = objects.find(({ kind }) => kind === 'Deployment');
  const pods = objects.filter(({ kind }) => kind === 'Pod').length;
  const replicas = restOf(expected) === 'running' ? 1 : 0;
  return [
    ...(deployment?.replicas === replicas ? [] : [`has ${deployment?.replicas} replicas, not ${replicas}`]),
    ...(pods === replicas ? [] : [`has ${pods} pods, not ${replicas}`]),
    ...(replicas === 0 || deployment?.restarted === restartedBy
      ? []
      : [`its pods have seen restart ${deployment?.restarted}, not ${restartedBy}`]),
  ];
}

function pagesOf({ observed, model }: Compared): string[] {
  return observed.instances.flatMap(({ id, host }) => {
    const expected = model.instances.get(id);
    if (expected === undefined || host === null) return [];
    const page = observed.pages.get(id);
    const wanted = pageOf(expected);
    return page === wanted ? [] : [`${id}: ${host} answers ${page}, not ${wanted}`];
  });
}

/** 503 is the ingress's own answer for a Service without a pod. */
function pageOf({ desired, suspensions }: ModelInstance): number {
  if (suspensions.has('abuse')) return 403;
  if (suspensions.has('billing')) return 402;
  return desired === 'running' ? 200 : 503;
}

function countersOf({ servers, instances }: Observed): string[] {
  return servers.flatMap(({ id, counted }) => {
    const placed = instances.filter(({ db_server_id }) => db_server_id === id).length;
    return counted === placed ? [] : [`${id} counts ${counted}, and ${placed} instances are on it`];
  });
}

function findingsOf({ findings }: Observed): string[] {
  return findings
    .filter(({ kind }) => !expectedFindings.includes(kind))
    .map(({ kind, subject, detail }) => `${kind} ${subject}: ${detail}`);
}

/** One entry for each request that was taken, and one for each end. */
function auditOf({ observed, input }: Compared): string[] {
  const ofEvent = new Map<string, number>();
  const ends = new Map<string, string[]>();
  for (const { action, detail, operationId } of observed.audit) {
    const word = action.split('.')[1] ?? '';
    const isTaken =
      ['requested', 'coalesced', 'refused'].includes(word) ||
      /^billing\.(applied|completed|superseded|refused)$/.test(action);
    if (isTaken && detail.event !== undefined) ofEvent.set(detail.event, (ofEvent.get(detail.event) ?? 0) + 1);
    const isEnd = ['succeeded', 'failed', 'overtaken', 'cancelled'].includes(word) && !action.startsWith('billing.');
    if (isEnd && operationId !== null) ends.set(operationId, [...(ends.get(operationId) ?? []), word]);
  }
  // What a broker lost before it had a row left nothing, and is somebody else's subject.
  const taken = observed.inbox.filter(({ id, outcome }) => input.events.has(id) && outcome !== 'repeated');
  const events = taken.flatMap(({ id, type }) => {
    const count = ofEvent.get(id) ?? 0;
    return count === 1 ? [] : [`${type} ${id} has ${count} entries`];
  });
  const operations = observed.operations.flatMap(({ id, kind, state }) => {
    const found = ends.get(id) ?? [];
    return found.length === 1 ? [] : [`${kind} ${id} is ${state} and has ${found.length} ends: ${found.join()}`];
  });
  return [...events, ...operations];
}

function lostOf({ plan, observed }: Compared): string[] {
  const arrived = new Set(observed.inbox.map(({ source, id }) => `${source} ${id}`));
  return [...plan.beginning, ...plan.prepared, ...plan.events]
    .filter(({ source, id }) => !arrived.has(`${source} ${id}`))
    .map(({ id, type }) => `${type} ${id}`);
}

/** What was sent back and done needs no explanation; what waits for a person, or for its next try, does. */
function deadOf({ dead }: Observed): string[] {
  return dead
    .filter(({ state }) => state !== 'replayed' && state !== 'resolved')
    .map(({ state, class: kind, reason_code, type, count }) => `${count} × ${type}: ${state}, ${kind}, ${reason_code}`);
}
