import type { DatabaseServer, Instance } from './instance.ts';

/** The values generated once per instance. They live in the credentials Secret and nowhere else. */
export type Credentials = {
  databasePassword: string;
  /** One-time password of Odoo's administrator. */
  adminPassword: string;
  /** Odoo's master password (`admin_passwd`); only its hash reaches odoo.conf. */
  masterPassword: string;
};

/** Who acts: every write of an operation carries its instance and its fence. */
export type Fenced = { instanceId: string; fence: number };

/** Chooses an Odoo PostgreSQL server and counts the instance on it. */
export type Placement = {
  /**
   * The server the instance is on, or a free one, counted in the same transaction. The same answer for every call.
   * @throws Failure `no-capacity` when no server has room, `fenced` when the operation was taken over.
   */
  place(operation: { id: string; fence: number }, instanceId: string): Promise<DatabaseServer>;
  /** Takes the instance off its server and the count down, once. */
  release(operation: { id: string; fence: number }, instanceId: string): Promise<void>;
};

/** The public names of instances, unique over the fleet. */
export type Hosts = {
  /** Gives the host up, so that its name can be used again. Repeatable. @throws Failure `fenced`. */
  free(operation: { id: string; fence: number }, instanceId: string): Promise<void>;
  /**
   * Takes `<name>.<domain>` where it is free, else `<name>-<short id>.<domain>`; the one it has, if it has one.
   * @throws Failure `fenced`.
   */
  take(operation: { id: string; fence: number }, instanceId: string): Promise<{ host: string; publicUrl: string }>;
};

/** The credentials Secret of an instance. */
export type CredentialsStore = {
  /** Undefined when there is none. @throws Failure `foreign-object` when one of that name is not this instance's. */
  read(instance: Instance): Promise<Credentials | undefined>;
  /** Create-only: what is there already wins and is returned. */
  create(instance: Instance, credentials: Credentials, fenced: Fenced): Promise<Credentials>;
  remove(instance: Instance, fenced: Fenced): Promise<void>;
};

/** A warm template: an initialised Odoo database per image and set of modules. */
export type TemplateKey = {
  imageId: string;
  /** Sorted, without `base`. */
  modules: readonly string[];
  /** Lower-case hex, 12 characters: hash of image reference, addons digest, modules and language. */
  digest: string;
};

/**
 * Work on one Odoo PostgreSQL server with its NOSUPERUSER admin (CREATEDB, CREATEROLE).
 *
 * Everything that changes something takes the fence in the server's own control database first: a lower one is
 * refused there with Failure `fenced`. Work inside a tenant's database uses one unpooled connection that is closed
 * before the call returns.
 */
export type TenantDatabases = {
  /** Raises the fence to `fenced.fence` and ends backends that work under a lower one. */
  takeOver(server: DatabaseServer, fenced: Fenced): Promise<void>;

  /** Are the tenant's role (of a tombstone: without LOGIN) and the NOLOGIN owner role there? */
  hasRoles(server: DatabaseServer, instanceId: string): Promise<boolean>;
  /** Creates both roles; the password goes over as a SCRAM-SHA-256 verifier and is set again if the role was there. */
  createRoles(
    server: DatabaseServer,
    fenced: Fenced,
    options: { password: string; connectionLimit: number },
  ): Promise<void>;
  /** The same without the right to log in, which `createRoles` gives later. One that may log in already loses it. */
  createClosedRoles(server: DatabaseServer, fenced: Fenced): Promise<void>;

  /**
   * `absent`, `empty` (there, but Odoo's `base` is not installed: garbage of a broken initialisation or a fresh one),
   * `initialising` (made for an init Job, which has installed `base`: whether the rest is there only the Job's end tells)
   * or `initialised`.
   */
  lookDatabase(
    server: DatabaseServer,
    instanceId: string,
  ): Promise<'absent' | 'empty' | 'initialising' | 'initialised'>;
  /**
   * An empty database for an init Job, owned like a finished one, with the tenant's role able to create in it.
   * What an earlier Job left in one (a broken initialisation) is moved aside and dropped first: call it only when no
   * Job is at work and none has succeeded. A clone is left as it is.
   */
  createEmpty(server: DatabaseServer, fenced: Fenced): Promise<void>;
  /** Renames a ready warm clone to the instance's database; true also when that is there. False when the pool is empty. */
  claimWarm(server: DatabaseServer, fenced: Fenced, template: TemplateKey): Promise<boolean>;
  /** Clones the template (CREATE under a name with the fence in it, then a fenced RENAME). False when there is no template. */
  cloneTemplate(server: DatabaseServer, fenced: Fenced, template: TemplateKey): Promise<boolean>;

  /** Is the database owned, granted, open and personalised for this instance, by a completed `personalise`? */
  isPersonalised(server: DatabaseServer, instance: Instance): Promise<boolean>;
  /**
   * Owner, REVOKE CONNECT and TEMPORARY from PUBLIC, GRANT CONNECT, ownership of schema and objects; then, in one
   * transaction inside it: new `database.uuid`, `database.secret`, `database.create_date`, `web.base.url` and its
   * freeze, administrator's login, e-mail and password hash (pbkdf2_sha512), attachments to the file store from now on.
   * The mark that `isPersonalised` reads is written last, in the same transaction. It is on the database, where the
   * tenant cannot change it and a copy does not get it. A database that bears it is left as it is. Needs the roles.
   */
  personalise(
    server: DatabaseServer,
    fenced: Fenced,
    options: { instance: Instance; adminPassword: string; baseUrl: string },
  ): Promise<void>;

  /** Has anybody logged in to the instance's Odoo? False while there is no database, or no Odoo in it. */
  wasUsed(server: DatabaseServer, instanceId: string): Promise<boolean>;

  /**
   * Does the tenant's role take this password, and may it connect to its database? One short connection as the tenant.
   * False when the server refuses it; true also when all connections of the role are in use. Other failures are thrown.
   */
  mayLogIn(server: DatabaseServer, instanceId: string, options: { password: string }): Promise<boolean>;
  /**
   * Scheduled actions that are at work: rows of `ir_cron` somebody holds a lock on. Asked as the tenant, never as the
   * admin: what a tenant made of his tables must not run with the admin's rights. 0 while there is no database.
   */
  busyCrons(server: DatabaseServer, instanceId: string, options: { password: string }): Promise<number>;
  /** Sessions in the instance's database and the tenant's elsewhere (Odoo listens in `postgres`), our own left out. */
  countSessions(server: DatabaseServer, instanceId: string): Promise<number>;
  /** Ends every session in the instance's database but our own, and waits until they are gone (at most 5 s). */
  cutSessions(server: DatabaseServer, fenced: Fenced): Promise<void>;
  /** Is `web.base.url` of the instance's Odoo this one? Asked as the tenant. */
  hasBaseUrl(
    server: DatabaseServer,
    instanceId: string,
    options: { password: string; baseUrl: string },
  ): Promise<boolean>;
  /** Writes `web.base.url` as the tenant, from a connection that carries the fence. */
  setBaseUrl(server: DatabaseServer, fenced: Fenced, options: { password: string; baseUrl: string }): Promise<void>;

  /**
   * Where the instance's database is: `live` under its own name, `aside` as a tombstone that nobody can connect to,
   * `both` (a mistake nobody may mend by himself) or `absent`.
   */
  whereabouts(server: DatabaseServer, instanceId: string): Promise<'live' | 'aside' | 'both' | 'absent'>;
  /**
   * Takes the database out of use: the tenant's role may not log in any more, sessions are cut, the database is renamed
   * to `tombstone_<id>` and closed to connections. Repeatable; nothing of the data is touched.
   * @throws Failure `conflict` while somebody stays connected.
   */
  setAside(server: DatabaseServer, fenced: Fenced): Promise<void>;
  /** The way back from `setAside`. Repeatable. @throws Failure `not-found` when there is no tombstone and no database. */
  bringBack(server: DatabaseServer, fenced: Fenced): Promise<void>;
  /** Owner, grants to the tenant, nothing for PUBLIC: puts right what `isPersonalised` would miss. Changes no data. */
  repairOwnership(server: DatabaseServer, fenced: Fenced): Promise<void>;
  /** Drops the tombstone, by way of a `trash_` name, and both roles. Never a database that is in use under its own name. */
  purge(server: DatabaseServer, fenced: Fenced): Promise<void>;

  /** Moves the database aside to a `trash_` name and drops it, then drops both roles. Only while nobody uses it. */
  remove(server: DatabaseServer, fenced: Fenced): Promise<void>;
};

/**
 * The templates and ready clones on one Odoo PostgreSQL server. Everything is told from the server's catalogue by
 * name (`template_<digest>`, `building_<digest>`, `warm_<digest>_<random>`): a crash leaves nothing to repair.
 */
export type WarmDatabases = {
  survey(
    server: DatabaseServer,
  ): Promise<readonly { digest: string; template: 'absent' | 'building' | 'ready'; warm: number }[]>;
  /**
   * An empty database and the LOGIN build role a template is initialised with; sets its password. What a broken build
   * left is thrown away. @throws Failure `conflict` while a build is at work in it, or when the template is ready.
   */
  beginTemplate(
    server: DatabaseServer,
    template: TemplateKey,
    options: { password: string },
  ): Promise<{ database: string; role: string }>;
  /**
   * After the build Job succeeded: objects to a NOLOGIN role, extensions, no connections, IS_TEMPLATE, renamed to
   * its final name. @throws Failure `job-failed` when `base` is not installed in it.
   */
  finishTemplate(server: DatabaseServer, template: TemplateKey): Promise<void>;
  /** Drops the template of a digest, its clones and its build. Repeatable. */
  retireTemplate(server: DatabaseServer, digest: string): Promise<void>;
  /** Makes clones until `target` are ready, at most `atMost` in this call; returns how many it made. */
  refill(server: DatabaseServer, template: TemplateKey, options: { target: number; atMost: number }): Promise<number>;
};

export type JobState =
  | { state: 'absent' | 'running' | 'succeeded' }
  | {
      state: 'failed';
      reason: string;
      /** By somebody else, such as an eviction: its program did not end by itself. */
      wasInterrupted?: boolean;
      /** Of the container that failed. */
      exitCode?: number;
    };

/** Kubernetes Jobs of the fleet, by deterministic name. */
export type JobRunner<Job> = {
  look(name: string): Promise<JobState>;
  /** Create-only; a Job of that name that carries our labels counts as created. */
  start(job: Job): Promise<void>;
  remove(name: string): Promise<void>;
  /** Jobs of one owner that are there, by label. */
  countOf(owner: string): Promise<number>;
  /** Ends and removes them, with their pods and Secrets. */
  removeAllOf(owner: string): Promise<void>;
};

/** Jobs of the Odoo image. */
export type ClusterJobs = JobRunner<OdooJob>;

/** One run of the Odoo image against one database: an initialisation or the build of a template. */
export type OdooJob = {
  name: string;
  /** Owner in labels: an instance's id, or `template-<digest>`. */
  owner: string;
  operationId: string | null;
  image: string;
  command: readonly string[];
  /** odoo.conf for this run, kept in a Secret of the Job's name and removed with it. */
  odooConf: string;
  /** Plain values; never a secret. */
  environment: Readonly<Record<string, string>>;
  memoryMib: number;
  deadlineSeconds: number;
};

/** Where the tenant's objects are. One implementation, on the Kubernetes API. */
export type TenantCluster = {
  /** Is the object there, ours, and as `wanted`? A step's look. */
  look(instance: Instance, part: ClusterPart, wanted: WantedRuntime): Promise<'done' | 'missing'>;
  /** Create or server-side apply with the resourceVersion that `look` saw. */
  apply(instance: Instance, part: ClusterPart, wanted: WantedRuntime): Promise<void>;
  remove(instance: Instance, part: ClusterPart, fenced: Fenced): Promise<void>;
  /**
   * Deployments as they should be while the instance stops: `without-cron` takes the cron Deployment down and leaves the
   * web pods, where the plan has both. True when it is so already.
   */
  lookScale(instance: Instance, wanted: WantedRuntime, scale: 'without-cron'): Promise<'done' | 'missing'>;
  applyScale(instance: Instance, wanted: WantedRuntime, scale: 'without-cron'): Promise<void>;
  /** Is there nothing of this part? Then `remove` has done its work. */
  isGone(instance: Instance, part: ClusterPart): Promise<boolean>;
  /** Pods of the instance's Deployments that are still there, ending ones included; Jobs' pods are not counted. */
  countPods(instance: Instance): Promise<number>;
  /** The instance's Deployments: observed generation current and replicas available? `reason` says what is not. */
  availability(instance: Instance): Promise<{ available: boolean; reason: string }>;
};

/** The parts an instance is made of in a cluster, in the order they are made. */
export const clusterParts = ['configuration', 'volume', 'network-policy', 'deployment', 'service', 'ingress'] as const;
export type ClusterPart = (typeof clusterParts)[number];

/** What decides the content of an instance's objects besides its row. */
export type WantedRuntime = {
  operationId: string;
  fence: number;
  databaseServer: DatabaseServer;
  /** Undefined for parts that hold none: all but the configuration and the Deployments. */
  credentials: Credentials | undefined;
};

/** Says whether an instance's data may be given up: a final backup is there and was proven by restoring it. */
export type FinalBackups = {
  /** `proven`, or why not, in words for the refusal. */
  look(instanceId: string): Promise<{ isProven: true } | { isProven: false; reason: string }>;
};

/** A tenant's own HTTP side, reached through its Service. */
export type TenantHttp = {
  /** Does the login page of the instance's own database answer 200? Never throws for an instance that is not up. */
  loginPageAnswers(instance: Instance): Promise<{ answers: boolean; reason: string }>;
};
