/** A session on a PostgreSQL server, as the programs of PostgreSQL and `pg` take it. */
export type DatabaseAccess = {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  /** libpq's word: disable, require, verify-full. */
  sslMode: string;
};

/** Where backups are kept, with the credentials of one who may write and read there, and not delete. */
export type StoreAccess =
  | { kind: 'directory'; folder: string }
  | {
      kind: 's3';
      endpoint: string;
      region: string;
      bucket: string;
      accessKeyId: string;
      secretAccessKey: string;
    };

/** 32 random bytes, as base64. */
export type Key = string;

type OrderBase = {
  version: 1;
  instanceId: string;
  operationId: string;
  /** Tries by other Jobs write beside: the operation's round, from 1. */
  attempt: number;
  store: StoreAccess;
  /** The results of this Job, and nothing else, go below it: no other Job has the same. */
  prefix: string;
  /** What the Job's results are signed with (HMAC-SHA256), so that nobody else's are taken for them. */
  resultKey: Key;
};

/** The keys of one backup, in the clear. Where they are stored they are wrapped. */
export type BackupKeys = {
  /** Of this dump alone. */
  dump: Key;
  /** Of the instance: its files are encrypted with it and named by it, so that they are stored once. */
  files: Key;
};

export type BackupOrder = OrderBase & {
  task: 'backup';
  backupId: string;
  database: DatabaseAccess;
  /** The folder of Odoo's filestore for this database; it need not exist. */
  filestore: string;
  keys: BackupKeys;
  /** For the manifest; the worker cannot know them. */
  facts: { kind: string; customerId: string; imageId: string; addonsDigest: string; previous: string | null };
  /**
   * The final manifest of the instance's newest backup, and the sha256 (hex) of its bytes. What it says of files that are
   * in the store is taken from it; without it each of them is read again.
   */
  previousManifest?: { key: string; sha256: string } | null;
};

/** Restores a backup into an empty database and compares it with its manifest. */
export type VerifyOrder = OrderBase & {
  task: 'verify';
  backupId: string;
  /** Key of the signed manifest, and the sha256 (hex) of its bytes as the platform's records hold it. */
  manifest: { key: string; sha256: string };
  /** Owned by the user, who is nobody else's and no superuser. */
  database: DatabaseAccess;
  keys: BackupKeys;
};

/** What a Job of the worker image is to do. It is mounted as a file and never part of a command line or an environment. */
export type WorkerOrder = BackupOrder | VerifyOrder;
