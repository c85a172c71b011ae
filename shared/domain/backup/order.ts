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

export type OrderBase = {
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

/** What is loaded: a backup of ours, or a zip as Odoo's own `dump_db` makes it, which lies in the store under `key`. */
export type LoadSource =
  | {
      kind: 'backup';
      /** The instance the backup is of: where its files lie in the store. */
      instanceId: string;
      backupId: string;
      manifest: { key: string; sha256: string };
      keys: BackupKeys;
    }
  | {
      kind: 'odoo-zip';
      key: string;
      /** Hex, of the whole object's content; null: nobody has said. */
      sha256: string | null;
      /** Of the object in the store; null: it is not encrypted. */
      encryptionKey: Key | null;
      /** What the image runs, such as `19.0`: an archive of another one is refused before anything is loaded. */
      odooVersion: string;
      /** The database may not get larger; absent: as large as it gets. */
      mostBytes?: number;
    };

/**
 * Restores the source into an empty database and a folder of its own on the instance's volume, and compares both with what
 * the source says of itself. Nothing that is live is touched.
 */
export type LoadOrder = OrderBase & {
  task: 'load';
  source: LoadSource;
  /** Owned by the user, who is nobody else's and no superuser. */
  database: DatabaseAccess;
  filestore: {
    /** Made by this Job where it is not there; what is in it and right is kept. */
    folder: string;
    /** Odoo's present folder on the same volume: files of the same content are linked from it, not fetched. */
    linkFrom: string | null;
    /** Names of folders beside it that earlier loads of the instance have left, whose operations are over: they are removed. */
    left?: readonly string[];
  };
};

/**
 * Exchanges two folders of the filestore when it is told to: `live` becomes `outgoing`, `incoming` becomes `live`. It
 * writes `<prefix>/ready` when it is up, and waits for the sealed `<prefix>/go`.
 */
export type SwapOrder = OrderBase & {
  task: 'swap';
  /** Whole paths on one volume. */
  folders: { live: string; incoming: string; outgoing: string };
};

/**
 * Takes from a loaded copy whatever it could act on the world with, and looks that nothing of it is left; with `identity` it
 * also becomes another Odoo, at that address. One transaction, all or nothing. Its success is its result.
 */
export type NeutralizeOrder = OrderBase & {
  task: 'neutralize';
  /** As the role it was loaded by: it owns what is in it, and nobody else may connect. */
  database: DatabaseAccess;
  identity: { baseUrl: string } | null;
};

/** Removes folders of sides that restores took out. Its success is its result. */
export type TidyOrder = OrderBase & { task: 'tidy' /** Whole paths. */; folders: readonly string[] };

/** Makes a zip of a backup as Odoo's own database manager makes it, encrypted with a key of its own. Reads nothing else. */
export type ExportOrder = OrderBase & {
  task: 'export';
  backupId: string;
  /** As of a verification. */
  manifest: { key: string; sha256: string };
  keys: BackupKeys;
  archiveKey: Key;
  /** `db_name` in the archive's manifest: what the database was called. */
  databaseName: string;
};

/** What a Job of the worker image is to do. It is mounted as a file and never part of a command line or an environment. */
export type WorkerOrder = BackupOrder | VerifyOrder | LoadOrder | NeutralizeOrder | SwapOrder | TidyOrder | ExportOrder;
