import { expect, test } from 'vitest';
import { namesOf } from '#shared/domain/instance/names.ts';
import { type Compared, compare } from './compare.ts';
import { type KnownEvent, runModel } from './model.ts';
import type { Observed } from './observe.ts';
import { planStorm } from './plan.ts';

const plan = { ...planStorm({ seed: 1, instances: 1, commands: 0, seconds: 1 }), prepared: [], mishaps: [] };
const [one] = plan.instances;
const [begin] = plan.beginning;
if (one === undefined || begin === undefined) throw new Error('the plan has no instance');
const { id, name } = one;
const { object, credentialsSecret, configurationSecret, database, role, ownerRole, backupRole } = namesOf(id);

/** The world of one instance that was provisioned and runs. */
function healthy(): Observed {
  const entry = { atMs: 0, instanceId: id, operationId: 'o-1' };
  const plain = { replicas: undefined, restarted: undefined };
  return {
    instances: [
      {
        id,
        name,
        status: 'running',
        desired_state: 'running',
        host: `${name}.localhost`,
        generation: 1,
        observed_generation: 1,
        db_server_id: 'odoo-1',
        purged_at: null,
        restarted_by: null,
        suspensions: [],
      },
    ],
    operations: [
      {
        id: 'o-1',
        instance_id: id,
        kind: 'provision',
        state: 'succeeded',
        step: null,
        waiting_for: null,
        overdue: null,
        error_code: null,
        error_text: null,
      },
    ],
    audit: [
      { ...entry, sequence: 1, action: 'provision.requested', detail: { event: begin?.id ?? '' } },
      { ...entry, sequence: 2, action: 'provision.succeeded', detail: {} },
    ],
    inbox: [{ source: begin?.source ?? '', id: begin?.id ?? '', type: begin?.type ?? '', outcome: 'accepted' }],
    unpublished: 0,
    dead: [{ state: 'resolved', class: 'transient', reason_code: 'undelivered', type: null, count: 3 }],
    requests: [],
    backups: { made: [], verifications: [], restores: [], told: [], left: [] },
    findings: [{ kind: 'warm-pool-low', subject: 'odoo-1', detail: '' }],
    servers: [
      {
        id: 'odoo-1',
        counted: 1,
        databases: [
          { name: database, isOpen: true },
          { name: 'warm_0123456789ab_12345678', isOpen: false },
        ],
        roles: [
          { name: role, mayLogin: true },
          { name: ownerRole, mayLogin: false },
        ],
      },
    ],
    objects: [
      ...['Ingress', 'NetworkPolicy', 'PersistentVolumeClaim', 'Service'].map((kind) => ({
        kind,
        name: object,
        ...plain,
      })),
      { kind: 'Deployment', name: object, replicas: 1, restarted: undefined },
      { kind: 'Pod', name: `${object}-x`, ...plain },
      { kind: 'Secret', name: credentialsSecret, ...plain },
      { kind: 'Secret', name: configurationSecret, ...plain },
    ],
    pages: new Map([[id, 200]]),
  };
}

function found(observed: Observed, of: Compared['plan'] = plan): string[] {
  const event: KnownEvent = { source: '', instance: id, cause: null, sequence: undefined, news: undefined };
  const input = { audit: observed.audit, events: new Map([[begin?.id ?? '', event]]), withoutUndo: new Set<string>() };
  const compared: Compared = { plan: of, observed, input, model: runModel(input) };
  return Object.entries(compare(compared)).flatMap(([subject, violations]) =>
    violations.length === 0 ? [] : [subject],
  );
}

test('a world as it should be has no violations', () => {
  expect(found(healthy())).toEqual([]);
});

test.each([
  ['stays where its server was away when the last one was cancelled', { ends: ['succeeded', 'cancelled'] }, false],
  ['is a violation where its server was never away', { ends: ['cancelled'], wasDown: false }, true],
  ['is a violation after the next one has succeeded', { ends: ['cancelled', 'succeeded'] }, true],
  ['is a violation where there was none', { ends: [] }, true],
])('the role of a backup %s', (_, { ends, wasDown = true }: { ends: string[]; wasDown?: boolean }, isViolation) => {
  const world = healthy();
  const [made] = world.operations;
  if (made === undefined) throw new Error('there is an operation');
  world.operations.push(...ends.map((state, at) => ({ ...made, id: `o-${at + 2}`, kind: 'backup', state })));
  world.servers[0]?.roles.push({ name: backupRole, mayLogin: true });
  const mishaps = wasDown ? [{ atMs: 0, what: 'odoo-server-down' as const, server: 0, forMs: 1 }] : [];
  expect(found(world, { ...plan, mishaps }).includes('databases and roles')).toBe(isViolation);
});

const stray = 'zzzzzzzzzzzz';
const instance = 'instances that are not where the model says';
test.each<[string, string, (world: Observed) => void]>([
  ['another status', instance, ({ instances: [row] }) => void Object.assign(row ?? {}, { status: 'error' })],
  ['a generation too much', instance, ({ instances: [row] }) => void Object.assign(row ?? {}, { generation: 2 })],
  ['a suspension nobody opened', instance, ({ instances: [row] }) => row?.suspensions.push('abuse')],
  ['no host', instance, ({ instances: [row] }) => void Object.assign(row ?? {}, { host: null })],
  [
    'a failed operation',
    'operations without an end, or failed',
    ({ operations: [row] }) => void Object.assign(row ?? {}, { state: 'failed' }),
  ],
  [
    'a database nobody knows',
    'databases and roles',
    ({ servers: [one] }) => one?.databases.push({ name: `odoo_${stray}`, isOpen: true }),
  ],
  [
    'a database left half made',
    'databases and roles',
    ({ servers: [one] }) => one?.databases.push({ name: `making_${id}_3`, isOpen: true }),
  ],
  [
    'a role nobody knows',
    'databases and roles',
    ({ servers: [one] }) => one?.roles.push({ name: `odoo_${stray}`, mayLogin: true }),
  ],
  [
    'a role that may not log in',
    'databases and roles',
    ({ servers: [one] }) => void Object.assign(one?.roles[0] ?? {}, { mayLogin: false }),
  ],
  ['its database gone', 'databases and roles', ({ servers: [one] }) => one?.databases.shift()],
  [
    'an object nobody knows',
    'objects in the cluster',
    ({ objects }) =>
      objects.push({ kind: 'Service', name: `odoo-${stray}`, replicas: undefined, restarted: undefined }),
  ],
  ['an object missing', 'objects in the cluster', ({ objects }) => objects.shift()],
  [
    'no replica',
    'objects in the cluster',
    ({ objects }) => void Object.assign(objects.find(({ kind }) => kind === 'Deployment') ?? {}, { replicas: 0 }),
  ],
  ['another page', 'pages', ({ pages }) => (pages as Map<string, number>).set(id, 503)],
  ['a wrong count', 'counters', ({ servers: [one] }) => void Object.assign(one ?? {}, { counted: 2 })],
  [
    'a finding',
    'findings of reconcile',
    ({ findings }) => findings.push({ kind: 'replicas-wrong', subject: id, detail: '' }),
  ],
  ['an end told twice', 'audit', ({ audit }) => audit.push({ ...audit[1], sequence: 3 } as (typeof audit)[number])],
  ['an event without a row', 'events that never arrived', ({ inbox }) => inbox.pop()],
  ['an event unpublished', 'outbox', (world) => void Object.assign(world, { unpublished: 1 })],
  [
    'a dead event that waits',
    'dead events nobody explains',
    ({ dead: [row] }) => void Object.assign(row ?? {}, { state: 'waiting' }),
  ],
])('%s is seen', (_, subject, damage) => {
  const world = healthy();
  damage(world);
  expect(found(world)).toEqual([subject]);
});
