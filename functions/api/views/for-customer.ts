import { ourTrouble, toldCodes } from '#shared/domain/webhook/visible-events.ts';

/** Records whose names are none of ours. */
const untouched: ReadonlySet<string> = new Set(['settings', 'summary', 'result', 'progress']);

/**
 * A body as whoever is limited to one customer may read it: without texts that were written for operators, which may name
 * servers and objects of ours.
 */
export function forCustomer(value: unknown): unknown {
  if (Array.isArray(value)) return eachOf(value);
  return isRecord(value) ? entriesOf(value) : value;
}

/** The same where nothing is to be left out: most answers are large and harmless. */
function eachOf(values: readonly unknown[]): readonly unknown[] {
  let copy: unknown[] | undefined;
  for (const [at, value] of values.entries()) {
    const one = forCustomer(value);
    if (one === value) continue;
    copy ??= [...values];
    copy[at] = one;
  }
  return copy ?? values;
}

function entriesOf(record: Record<string, unknown>): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined;
  for (const name of Object.keys(record)) {
    const one = shown(name, record[name]);
    if (one === record[name]) continue;
    copy ??= { ...record };
    copy[name] = one;
  }
  return copy ?? record;
}

function shown(name: string, value: unknown): unknown {
  if (untouched.has(name)) return value;
  if (name === 'waitingFor' || name === 'statusReason') return null;
  if (!isRecord(value)) return forCustomer(value);
  if (name === 'error') return toldCodes.has(String(value['code'])) ? value : { code: 'failed', text: ourTrouble };
  if (name === 'proof') return { ...value, text: null };
  // of an entry of the audit
  return name === 'detail' ? {} : forCustomer(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
