import { type DestinationStream, destination, type Logger, pino, stdSerializers } from 'pino';
import { currentContext } from '#shared/adapters/tracing/request-context.ts';
import { Failure } from '#shared/domain/failure.ts';
import { type KnownSecrets, knownSecrets } from './known-secrets.ts';

export type Log = Logger;

// By path: what is called like a secret is blanked at the first three levels, whether its value is known or not.
const secretNames = [
  'password',
  'adminPassword',
  'databasePassword',
  'masterPassword',
  'admin_passwd',
  'secret',
  'token',
  'authorization',
  'cookie',
  'signature',
  'privateKey',
];
const secretPaths = secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

/**
 * A log of JSON lines on standard output. No line shows a secret: names that mean one are blanked, and every line
 * passes the scrubber, which knows the values of this process. Lines within a request carry its ids.
 *
 * Written synchronously: what is buffered when a pod is killed is lost, and it is what one would like to read.
 */
export function openLog(options: {
  /** The function. */
  name: string;
  level: string;
  stream?: DestinationStream;
  secrets?: KnownSecrets;
}): Log {
  const stream = options.stream ?? destination({ fd: 1, sync: true });
  const secrets = options.secrets ?? knownSecrets;
  return pino(
    {
      level: options.level,
      base: { name: options.name },
      formatters: { level: (label) => ({ level: label }) },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      redact: { paths: secretPaths, censor: '[secret]' },
      serializers: { err: describeError },
      mixin: contextFields,
    },
    { write: (line: string) => stream.write(secrets.scrub(line)) },
  );
}

function contextFields(): Record<string, string> {
  const context = currentContext();
  if (context === undefined) return {};
  const { requestId, traceId, spanId, eventId, operationId } = context;
  return {
    requestId,
    traceId,
    spanId,
    ...(eventId === undefined ? {} : { eventId }),
    ...(operationId === undefined ? {} : { operationId }),
  };
}

/** Code and facts of a failure; of other errors their stack, with that of their causes. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { type, message, stack } = stdSerializers.err(error);
  const failure = error instanceof Failure ? { code: error.code, facts: error.facts } : {};
  return { type, message, ...failure, stack };
}
