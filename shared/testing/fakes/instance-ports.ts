import { Failure } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type {
  ClusterJobs,
  Credentials,
  CredentialsStore,
  OdooJob,
  TenantDatabases,
} from '#shared/domain/instance/ports.ts';

type JobState = Awaited<ReturnType<ClusterJobs['look']>>;
type DatabaseState = Awaited<ReturnType<TenantDatabases['lookDatabase']>>;

/**
 * One Odoo server and one cluster in memory, as far as the steps see them. `did` has every call that changes something;
 * everything else is set by the test.
 */
export function fakeInstancePorts() {
  const did: string[] = [];
  const world = {
    did,
    database: 'absent' as DatabaseState,
    roles: false,
    isPersonalised: false,
    wasUsed: false,
    /** The database is renamed to its tombstone. Both it and a database under the live name: `database` is not absent. */
    aside: false,
    mayLogIn: false,
    /** Sessions in the database; `cutSessions` and `setAside` end them. */
    sessions: 0,
    /** Scheduled actions at work. */
    crons: 0,
    /** `web.base.url` of the instance's Odoo. */
    baseUrl: '',
    warm: 0,
    hasTemplate: false,
    jobs: new Map<string, JobState>(),
    started: [] as OdooJob[],
    secret: undefined as Credentials | undefined,
    /** Called after each look at a Job: what happens between two looks. */
    afterJobLook: () => {},
  };
  const takeDatabase = (how: string): boolean => {
    did.push(how);
    world.database = 'initialised';
    return true;
  };
  const databases: TenantDatabases = {
    takeOver: async (_server, { fence }) => void did.push(`take over ${fence}`),
    hasRoles: async () => world.roles,
    async createRoles(_server, _fenced, { password, connectionLimit }) {
      did.push(`create roles ${password} ${connectionLimit}`);
      world.roles = true;
      world.mayLogIn = true;
    },
    async createClosedRoles() {
      did.push('create closed roles');
      world.roles = true;
      world.mayLogIn = false;
    },
    lookDatabase: async () => world.database,
    async createEmpty() {
      did.push(`create empty over ${world.database}`);
      world.database = 'empty';
    },
    claimWarm: async () => world.warm > 0 && takeDatabase('claim'),
    cloneTemplate: async () => world.hasTemplate && takeDatabase('clone'),
    isPersonalised: async () => world.isPersonalised,
    async personalise(_server, _fenced, { adminPassword, baseUrl }) {
      did.push(`personalise ${adminPassword} ${baseUrl}`);
      world.isPersonalised = true;
      world.baseUrl = baseUrl;
    },
    wasUsed: async () => world.wasUsed,
    mayLogIn: async () => world.mayLogIn && world.database !== 'absent',
    busyCrons: async () => world.crons,
    countSessions: async () => world.sessions,
    async cutSessions() {
      did.push(`cut ${world.sessions} sessions`);
      world.sessions = 0;
    },
    hasBaseUrl: async (_server, _instanceId, { baseUrl }) => world.baseUrl === baseUrl,
    async setBaseUrl(_server, _fenced, { baseUrl }) {
      did.push(`set base url ${baseUrl}`);
      world.baseUrl = baseUrl;
    },
    async whereabouts() {
      if (world.database !== 'absent') return world.aside ? 'both' : 'live';
      return world.aside ? 'aside' : 'absent';
    },
    async setAside() {
      did.push('set aside');
      Object.assign(world, { mayLogIn: false, sessions: 0 });
      if (world.database === 'absent') return;
      Object.assign(world, { database: 'absent', aside: true });
    },
    async bringBack() {
      did.push('bring back');
      if (world.aside) Object.assign(world, { database: 'initialised', aside: false });
      else if (world.database === 'absent') throw new Failure('not-found', 'There is no tombstone and no database');
      world.mayLogIn = true;
    },
    async repairOwnership() {
      did.push('repair ownership');
      world.isPersonalised = true;
    },
    async purge() {
      if (world.database !== 'absent') throw new Failure('not-allowed', 'The database is there under its own name');
      did.push('purge database');
      Object.assign(world, { aside: false, roles: false, mayLogIn: false });
    },
    async remove() {
      did.push('remove database');
      world.database = 'absent';
    },
  };
  const jobs: ClusterJobs = {
    async look(name) {
      const state = world.jobs.get(name) ?? { state: 'absent' as const };
      world.afterJobLook();
      return state;
    },
    async start(job) {
      did.push(`start ${job.name}`);
      world.started.push(job);
      world.jobs.set(job.name, { state: 'running' });
    },
    async remove(name) {
      if (world.jobs.delete(name)) did.push(`remove ${name}`);
    },
    countOf: async (owner) => world.started.filter((job) => job.owner === owner && world.jobs.has(job.name)).length,
    async removeAllOf(owner) {
      did.push(`remove all jobs of ${owner}`);
      for (const job of world.started) if (job.owner === owner) world.jobs.delete(job.name);
    },
  };
  const credentials: CredentialsStore = {
    read: async () => world.secret,
    async create(_instance, fresh) {
      if (world.secret === undefined) did.push('create secret');
      world.secret ??= fresh;
      return world.secret;
    },
    async remove() {
      did.push('remove secret');
      world.secret = undefined;
    },
  };
  const initialisation = (context: InstanceContext, job: { name: string; databasePassword: string }): OdooJob => ({
    name: job.name,
    owner: context.instance.id,
    operationId: context.operation.id,
    image: context.instance.image.reference,
    command: [],
    odooConf: `db_password = ${job.databasePassword}`,
    environment: {},
    memoryMib: 1,
    deadlineSeconds: 1,
  });
  return { world, ports: { databases, jobs, credentials, initialisation } };
}
