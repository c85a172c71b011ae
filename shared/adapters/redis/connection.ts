import type { Redis, RedisOptions } from 'ioredis';

export type RedisAddress = { host: string; port: number; username?: string; password?: string; isTls?: boolean };

export type RedisLog = { warn(fields: Record<string, unknown>, message: string): void };

export type RedisConnection = {
  /**
   * The command's answer, or undefined when Redis is not there, does not answer in time or refuses it. Never throws.
   * `mustBeTaken`: once it was refused, `onConnect` comes before anything else.
   */
  attempt<T>(
    command: (redis: Redis) => Promise<T>,
    options?: { mustBeTaken?: boolean },
  ): Promise<{ answer: T } | undefined>;
  close(): void;
};

/** To connect, without the first words; a call must not wait longer for something it can do without. */
const connectTimeoutMs = 300;
/** For one answer; a local Redis takes well under a millisecond. */
const commandTimeoutMs = 200;
/** After a failure nobody tries for so long. */
const restMs = 1_000;

/** Sent by its hash from the second call on; the client sends the text again when Redis has forgotten it. */
export type RedisScript = { numberOfKeys: number; lua: string };

/** What the driver is told. */
type ConnectionOptions = {
  log: RedisLog;
  /** How long a connection and an answer are waited for; tests whose subject is not the waiting give more. */
  patienceMs?: number | undefined;
  /** Runs first on every new connection. */
  onConnect?: (redis: Redis) => Promise<void>;
  /** Commands that leave the process at once; others wait for the end of the turn and for answers that are on their way, and go together. */
  sentAtOnce?: readonly string[];
  /**
   * Commands of ours, by their names: those of all who share the connection. One that was added later would be unknown to the
   * commands that are gathered just then, and the driver ends the process over it.
   */
  scripts?: Readonly<Record<string, RedisScript>>;
};

/**
 * A connection that is only ever an advantage: no queue of commands, no reconnecting behind a caller's back (a function's pod is
 * frozen between calls), and after a failure at most one try per second, while everybody else goes without.
 */
export function openRedisConnection(address: RedisAddress, options: ConnectionOptions): RedisConnection {
  let current: Promise<Redis> | undefined;
  const answerMs = options.patienceMs ?? commandTimeoutMs;
  const connectMs = options.patienceMs ?? connectTimeoutMs;
  /** What `current` has become: then a command is sent before `attempt` returns. */
  let connected: Redis | undefined;
  let nextTryAt = 0;

  function drop(): void {
    current = undefined;
    connected = undefined;
  }

  function fail(error: unknown): void {
    if (nextTryAt <= performance.now()) {
      options.log.warn({ reason: nameOf(error) }, 'Redis does not answer: going on without the cache');
    }
    nextTryAt = performance.now() + restMs;
    const failed = current;
    drop();
    failed?.then(
      (redis) => redis.disconnect(),
      () => undefined,
    );
  }

  async function begin(redis: Redis): Promise<void> {
    await redis.connect();
    await options.onConnect?.(redis);
  }

  async function connect(): Promise<Redis> {
    // on demand: most starts of most functions need none of it
    const { Redis: Client } = await import('ioredis');
    const redis = new Client(redisOptions(address, options));
    // Without a listener an error event ends the process. Commands report their own failures.
    redis.on('error', () => undefined);
    try {
      await inTime(begin(redis), connectMs + answerMs);
      return redis;
    } catch (error) {
      redis.disconnect();
      throw error;
    }
  }

  return {
    async attempt(command, { mustBeTaken = false } = {}) {
      for (let tries = 1; ; tries += 1) {
        if (current === undefined && performance.now() < nextTryAt) return undefined;
        current ??= connect();
        const mine = current;
        const redis =
          connected ??
          (await mine.catch((error: unknown) => {
            if (current === mine) fail(error);
            return undefined;
          }));
        if (redis === undefined) return undefined;
        if (current === mine) connected = redis;
        try {
          return { answer: await inTime(command(redis), answerMs) };
        } catch (error) {
          if (!mustBeTaken && isRefusedAlone(error)) return undefined;
          const isSecondChance = tries === 1 && isClosed(error);
          if (isSecondChance && current === mine) drop();
          if (isSecondChance) continue;
          if (current === mine) fail(error);
          return undefined;
        }
      }
    },
    close() {
      nextTryAt = Number.POSITIVE_INFINITY;
      current?.then(
        (redis) => redis.disconnect(),
        () => undefined,
      );
      drop();
    },
  };
}

/**
 * Not ioredis' own commandTimeout: when this process did not get to run for a while, its timers are due before the answers
 * that came meanwhile are read, and a busy machine would look like a Redis that is down. The answers are read first here.
 */
async function inTime<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => setImmediate(() => late.reject(new Error(timedOut))), timeoutMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

const timedOut = 'Command timed out';

function redisOptions(
  address: RedisAddress,
  { sentAtOnce = [], scripts = {}, patienceMs = connectTimeoutMs }: ConnectionOptions,
) {
  return {
    host: address.host,
    port: address.port,
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(address.password === undefined ? {} : { password: address.password }),
    ...(address.isTls ? { tls: { servername: address.host } } : {}),
    lazyConnect: true,
    enableOfflineQueue: false,
    enableAutoPipelining: true,
    autoPipeliningIgnoredCommands: [...sentAtOnce],
    scripts: { ...scripts },
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    connectTimeout: patienceMs,
  } satisfies RedisOptions;
}

/**
 * The connection is gone, as after an idle limit somewhere in between: worth a new one at once. Every command here may be repeated.
 * A command that timed out, or was refused, is not.
 */
function isClosed(error: unknown): boolean {
  return error instanceof Error && error.name !== 'ReplyError' && error.message !== timedOut;
}

/** What Redis says of this command and not of itself: others who share the connection have no part in it. */
function isRefusedAlone(error: unknown): boolean {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return false;
  return !/^(LOADING|READONLY|NOAUTH|MASTERDOWN)\b/.test(error.message);
}

/** The kind of error only: a message of the driver may quote a command and its values. */
function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return (error as NodeJS.ErrnoException).code ?? error.name;
}
