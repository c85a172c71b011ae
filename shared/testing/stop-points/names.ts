/** At most this many statements of a batch are named. */
const namedStatements = 4;

/** Words that say nothing about what a statement does to the store. */
const silent = new Set(['SET LOCAL', 'SET']);

/**
 * A short name of a statement or a batch: what it does to which table or kind of object, joined by "+". No value, no
 * literal and no identifier in double quotes gets into it.
 */
export function statementName(text: string): string {
  const bare = text.replaceAll(/'(?:[^']|'')*'/g, "''").replaceAll(/"(?:[^"]|"")*"/g, '""');
  const names = bare
    .split(';')
    .map((statement) => nameOfOne(statement.trim()))
    .filter((name) => name !== '' && !silent.has(name));
  const distinct = names.filter((name, index) => names.indexOf(name) === index);
  const shown = distinct.slice(0, namedStatements);
  return [...shown, ...(distinct.length > shown.length ? ['…'] : [])].join(' + ');
}

/** A setting by a function, where a condition decides. */
const setsByFunction = /^select\s+set_config\(/i;

function nameOfOne(statement: string): string {
  if (setsByFunction.test(statement)) return 'SET';
  const words = statement.split(/\s+/);
  const first = (words[0] ?? '').toUpperCase();
  if (['WITH', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'].includes(first)) return nameOfQuery(statement);
  if (['BEGIN', 'COMMIT', 'ROLLBACK', 'SAVEPOINT', 'SET'].includes(first)) {
    const isLocal = first === 'SET' && words[1]?.toUpperCase() === 'LOCAL';
    return isLocal ? 'SET LOCAL' : first;
  }
  const known = /^(?:CREATE|ALTER|DROP|COMMENT ON|GRANT|REVOKE|REASSIGN OWNED)(?:\s+(?:ROLE|DATABASE|SCHEMA|TABLE))?/i;
  return (known.exec(statement)?.[0] ?? first).toUpperCase().replaceAll(/\s+/g, ' ');
}

/** "for update" and "do update" lock and resolve; they are not the statement. */
const writes = /(?<!\b(?:for|do)\s+)\b(insert\s+into|update|delete\s+from)\s+(?:only\s+)?([a-z_][a-z0-9_.]*)/gi;

function nameOfQuery(statement: string): string {
  const found = [...statement.matchAll(writes)].map(([, verb = '', table = '']) => {
    return `${verb.split(/\s/)[0]?.toUpperCase()} ${withoutSchema(table)}`;
  });
  const distinct = found.filter((name, index) => found.indexOf(name) === index);
  if (distinct.length > 0) return distinct.join(', ');
  // A function that is called for its effect says more than the table it is called on.
  const effect = /\b(pg_try_advisory_xact_lock|pg_advisory_xact_lock|pg_terminate_backend)\b/i.exec(statement)?.[1];
  const table = /\bfrom\s+(?:only\s+)?([a-z_][a-z0-9_.]*)/i.exec(statement)?.[1];
  return ['SELECT', effect ?? (table === undefined ? undefined : withoutSchema(table))].filter(Boolean).join(' ');
}

function withoutSchema(table: string): string {
  return table.slice(table.lastIndexOf('.') + 1).toLowerCase();
}

/** A database's name without the instance's id, the operation's short one or the fence in it. */
export function databaseName(database: string | undefined): string {
  return (database ?? 'database')
    .replaceAll(/_(?:[a-z2-7]{12}|[0-9a-f]{8})(?=_|$)/g, '_*')
    .replaceAll(/_[0-9]+$/g, '_*');
}

/** What a request does: the resource for the Kubernetes API, the path for everything else. */
export function requestName(method: string, path: string): string {
  const [pathname = ''] = path.split('?');
  const resource = /^\/apis?\/.*\/namespaces\/[^/]+\/([^/]+)/.exec(pathname)?.[1];
  return `${method} ${resource ?? pathname}`;
}
