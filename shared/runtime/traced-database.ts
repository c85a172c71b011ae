import type { Database } from '#shared/adapters/postgres/database.ts';
import { inSpan } from '#shared/adapters/tracing/spans.ts';

const attributes = { 'db.system.name': 'postgresql' };

/** The same database; a transaction, or a statement outside of one, is a span of its request. */
export function tracedDatabase(database: Database): Database {
  return {
    query: (text, values) =>
      inSpan({ name: 'platform query', kind: 'client', attributes }, () => database.query(text, values)),
    transaction: (work, options) =>
      inSpan({ name: 'platform transaction', kind: 'client', attributes }, () => database.transaction(work, options)),
    stats: () => database.stats(),
    end: () => database.end(),
  };
}
