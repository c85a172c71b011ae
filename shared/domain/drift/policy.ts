/**
 * What is done about a kind of drift. `repair`: the world is brought back to the record, for an instance by its
 * operation `repair`. `report`: a person decides. `quarantine`: reported, and put out of use when it has stood for
 * some days; never deleted.
 */
export type Policy = 'repair' | 'report' | 'quarantine';

type Rule = {
  policy: Policy;
  /** `alarm`: customers suffer or data is at risk. */
  severity: 'alarm' | 'warning';
  /** What it means. */
  what: string;
  /** What a person does about it; for `repair`, if it does not go away by itself. */
  toDo: string;
};

const lookAtRepair = 'Repaired by itself. If it stays, read the error of the instance’s last repair operation.';
const readAnd = (toDo: string) => `Nothing is changed by itself. ${toDo}`;

/** Every kind of drift there is, and what is done about it. */
export const driftPolicies = {
  'deployment-missing': rule('repair', 'alarm', 'A Deployment of the instance is gone: it is down.', lookAtRepair),
  'deployment-changed': rule('repair', 'warning', 'A Deployment is not as the record wants it.', lookAtRepair),
  'replicas-wrong': rule('repair', 'alarm', 'It runs with another number of pods than is wanted.', lookAtRepair),
  'image-wrong': rule('repair', 'alarm', 'It runs another image than its record names.', lookAtRepair),
  'resources-wrong': rule('repair', 'warning', 'Its processor or memory limits are not its plan’s.', lookAtRepair),
  'service-missing': rule('repair', 'alarm', 'The Service is gone: nothing reaches the instance.', lookAtRepair),
  'service-changed': rule('repair', 'warning', 'The Service is not as the record wants it.', lookAtRepair),
  'ingress-missing': rule('repair', 'alarm', 'The Ingress is gone: the address does not answer.', lookAtRepair),
  'ingress-changed': rule('repair', 'warning', 'The Ingress is not as the record wants it.', lookAtRepair),
  'configuration-missing': rule(
    'repair',
    'alarm',
    'The Secret with odoo.conf is gone: pods cannot start.',
    lookAtRepair,
  ),
  'configuration-changed': rule('repair', 'warning', 'The Secret with odoo.conf was changed.', lookAtRepair),
  'network-policy-missing': rule('repair', 'alarm', 'The NetworkPolicy is gone: the instance is open.', lookAtRepair),
  'network-policy-changed': rule('repair', 'alarm', 'The NetworkPolicy was changed.', lookAtRepair),
  // A new Secret would have a new password of the administrator, which nobody would be told.
  'credentials-missing': rule(
    'report',
    'alarm',
    'The Secret with the instance’s passwords is gone. What runs goes on; nothing can be repaired.',
    readAnd('Restore the Secret from a backup of the cluster.'),
  ),
  // An empty volume in its place would hide that the files are gone.
  'volume-missing': rule(
    'report',
    'alarm',
    'The volume claim with the instance’s files is gone.',
    readAnd('Restore the claim and its files from a backup. No empty one is made in its place.'),
  ),
  'volume-changed': rule('repair', 'warning', 'The volume claim is smaller or other than wanted.', lookAtRepair),
  'volume-oversized': rule(
    'report',
    'warning',
    'The volume is larger than the plan pays for.',
    readAnd('A volume cannot shrink: offer a larger plan, or move the instance.'),
  ),
  'host-clash': rule(
    'report',
    'alarm',
    'Another Ingress claims the instance’s host: who gets its visitors is chance.',
    readAnd('Find out whose the other Ingress is and remove its host.'),
  ),
  'still-in-cluster': rule(
    'repair',
    'alarm',
    'The instance is terminated, and objects of it are still there.',
    lookAtRepair,
  ),
  unsettled: rule(
    'repair',
    'warning',
    'Its last operation failed, or its status is not what its record wants: nothing is at work on it.',
    'Repaired by itself. If it stays, read the errors of its last operations.',
  ),

  // Made anew it would be empty, and Odoo would set up a new company in it over the customer’s own.
  'database-missing': rule(
    'report',
    'alarm',
    'The database of the instance is gone. It is never made anew.',
    readAnd('Find out who dropped or renamed it; restore it from a backup.'),
  ),
  'database-doubled': rule(
    'report',
    'alarm',
    'The database is there twice: in use, and set aside.',
    readAnd('Find out which of both holds the customer’s data, and rename the other.'),
  ),
  'database-not-aside': rule(
    'repair',
    'warning',
    'The instance is terminated, and its database is not set aside.',
    lookAtRepair,
  ),
  'database-aside': rule(
    'repair',
    'alarm',
    'The instance lives, and its database is set aside as a tombstone.',
    lookAtRepair,
  ),
  'database-closed': rule('repair', 'alarm', 'The database refuses connections.', lookAtRepair),
  'database-owner-wrong': rule('repair', 'alarm', 'The database belongs to another role.', lookAtRepair),
  'database-grants-wrong': rule('repair', 'alarm', 'The instance’s role lacks its rights on it.', lookAtRepair),
  'database-open-to-public': rule('repair', 'alarm', 'Every role of the server may connect to it.', lookAtRepair),
  'database-unpersonalised': rule(
    'report',
    'alarm',
    'The database does not bear the mark of the instance: it may be a copy of another one.',
    readAnd('Compare its data with the customer before it is used.'),
  ),
  'database-oversized': rule(
    'report',
    'warning',
    'The database is larger than the plan’s disk.',
    readAnd('Offer a larger plan.'),
  ),
  'database-elsewhere': rule(
    'report',
    'alarm',
    'A database of the instance is on another server than its record names.',
    readAnd('Find out which one holds the customer’s data.'),
  ),
  'role-missing': rule('repair', 'alarm', 'A role of the instance is gone: Odoo cannot log in.', lookAtRepair),
  'role-wrong': rule('repair', 'warning', 'A role of the instance may do more or less than it should.', lookAtRepair),

  'orphan-database': rule(
    'quarantine',
    'warning',
    'A database bears our name, and no record knows its instance.',
    'After some days it is renamed aside and closed. Drop it when nobody misses it.',
  ),
  'orphan-role': rule(
    'report',
    'warning',
    'A role bears our name, and no record knows its instance.',
    readAnd('Drop it when nothing belongs to it.'),
  ),
  'orphan-object': rule(
    'report',
    'warning',
    'An object of the cluster bears our label, and no record knows its instance.',
    readAnd('Delete it when nobody misses it.'),
  ),

  // The number is ours and follows from the rows beside it: under the row's lock there is one right answer, and a
  // wrong one overfills a server or turns customers away.
  'server-count-wrong': rule(
    'repair',
    'warning',
    'A server’s count of instances is not the number of its rows.',
    'Put right in place. If it comes back, somebody writes these tables by hand.',
  ),
  'operation-stuck': rule(
    'report',
    'alarm',
    'An operation is due, and nobody takes it.',
    readAnd('Look whether its function runs and what it logs.'),
  ),
  'operation-overdue': rule(
    'report',
    'alarm',
    'An operation is past its deadline and still not ended.',
    readAnd('Look whether its function runs and what it logs.'),
  ),
  'warm-pool-low': rule(
    'report',
    'warning',
    'A server has less than half of the ready databases it should have: new instances take longer.',
    readAnd('The tick makes them; look what keeps it from doing so.'),
  ),
  'outbox-waiting': rule(
    'report',
    'alarm',
    'Events wait to be sent for more than a minute.',
    readAnd('Look at the broker and at last_error of the outbox.'),
  ),
  'dead-events-waiting': rule(
    'report',
    'warning',
    'Events that nobody could handle wait for a person.',
    readAnd('List them, mend their cause and replay or close them.'),
  ),
  'purge-due': rule(
    'report',
    'warning',
    'The undo window of a terminated instance is over, and its data is still kept.',
    'Ask for a purge, or set PURGE_AFTER_WINDOW=on to have it asked for.',
  ),
  'place-unreadable': rule(
    'report',
    'alarm',
    'A cluster or database server could not be read: what is known of it is old.',
    readAnd('See that it answers and that its credentials are right.'),
  ),
} as const satisfies Record<string, Rule>;

export type DriftKind = keyof typeof driftPolicies;

export const driftKinds = Object.keys(driftPolicies) as readonly DriftKind[];

/** The rule of a kind; undefined for one that an older or newer version wrote. */
export function ruleOf(kind: string): Rule | undefined {
  return Object.hasOwn(driftPolicies, kind) ? driftPolicies[kind as DriftKind] : undefined;
}

/** The kinds that the operation `repair` is asked for. */
export const repairedKinds: readonly DriftKind[] = driftKinds.filter(
  (kind) => driftPolicies[kind].policy === 'repair' && kind !== 'server-count-wrong',
);

/**
 * While one of these is open a repair of a running instance cannot succeed: it would fail again and again. One that runs
 * and must not is another matter: it is taken down all the same.
 */
export const unrepairableKinds: readonly DriftKind[] = [
  'credentials-missing',
  'volume-missing',
  'database-missing',
  'database-doubled',
  'database-elsewhere',
];

/** One that runs and must not, or is terminated, is taken down whatever else is missing of it. */
export const urgentKinds: readonly DriftKind[] = ['replicas-wrong', 'still-in-cluster', 'database-not-aside'];

function rule<const P extends Policy>(policy: P, severity: Rule['severity'], what: string, toDo: string) {
  return { policy, severity, what, toDo };
}
