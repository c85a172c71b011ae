import { statusChanged } from '#events/instance/status-changed.ts';
import { operationAdvance } from '#events/operation/advance.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { twiceEvery } from './drive.ts';
import { atWorkEvery, instances } from './world.ts';

const atWork = Math.ceil(instances / atWorkEvery);
const free = instances - atWork;
const doubled = Math.ceil(instances / twiceEvery);

/** What so many cycles must have been answered. */
export function expectedOutcomes(cycles: number): Record<string, number> {
  return {
    changed: 2 * free * cycles,
    noted: free * cycles,
    advanced: atWork * cycles,
    'nothing-to-do': 2 * atWork * cycles,
    duplicate: 3 * doubled * cycles,
  };
}

/** Compares the rows with what was sent. @throws Error that says what is wrong. */
export async function checkRows(
  database: Database,
  { cycles, outcomes }: { cycles: number; outcomes: Record<string, number> },
): Promise<string> {
  const expected = expectedOutcomes(cycles);
  const { duplicate: _sentTwice, ...recorded } = expected;
  const wrong: string[] = [];
  const compare = (what: string, found: unknown, wanted: unknown) => {
    const [one, other] = [found, wanted].map((value) => JSON.stringify(sorted(value)));
    if (one !== other) wrong.push(`${what}: ${one} instead of ${other}`);
  };
  const all = async <Row extends object>(text: string, values: unknown[] = []) =>
    (await database.query<Row>(text, values)).rows;
  const tally = async (text: string, values: unknown[] = []) =>
    Object.fromEntries((await all<{ key: string; count: number }>(text, values)).map(({ key, count }) => [key, count]));

  compare('answers', outcomes, expected);
  compare('inbox', await tally('select outcome as key, count(*) from inbox group by outcome'), recorded);
  compare('outbox', await tally('select type as key, count(*) from outbox group by type'), {
    [statusChanged.type]: expected['changed'],
    // one state of one object is told once
    [operationAdvance.type]: atWork,
  });
  compare('statuses', await tally('select status as key, count(*) from instances group by status'), {
    error: instances,
  });
  const broken = `select count(*)::integer as count from (
      select data->>'from' as start, lag(data->>'to', 1, 'error') over (partition by subject order by sequence) as before
      from outbox where type = $1) as move where start <> before`;
  compare('changes that do not begin where the one before ended', await all(broken, [statusChanged.type]), [
    { count: 0 },
  ]);
  const left = 'select count(*)::integer as count from observations';
  compare('notes that are left', await all(left), [{ count: 0 }]);
  compare('streams', await all('select count(*)::integer as count from streams'), [{ count: instances }]);
  compare('dead events', await all('select count(*)::integer as count from dead_events'), [{ count: 0 }]);
  if (wrong.length > 0) throw new Error(`The rows are not what was sent:\n${wrong.join('\n')}`);
  const counts = `${instances * 3 * cycles} inbox rows, ${expected['changed']} changes announced, ${expected['duplicate']} duplicates`;
  return `Rows, inbox and outbox compared with what was sent: right (${counts}, ${atWork} instances with an operation at work untouched).`;
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
}
