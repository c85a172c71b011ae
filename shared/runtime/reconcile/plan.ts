import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import { listOpenFindings, type OpenFinding, stoodFor } from '#shared/adapters/postgres/findings.ts';
import { type Finding, keyOf } from '#shared/domain/drift/findings.ts';
import { repairedKinds, ruleOf } from '#shared/domain/drift/policy.ts';
import type { ReconcileEngine, ReconcileSettings } from './engine.ts';
import { type Look, lookAtFleet, lookAtShard } from './look.ts';
import { fleetShard } from './pass.ts';
import type { Unanswering } from './surveys.ts';

/** All that is passed over: an instance's first character each, and the fleet itself. */
export const shards: readonly string[] = [...'abcdefghijklmnopqrstuvwxyz234567', fleetShard];

/** Something that drifted, and what the next pass would do about it. */
export type PlannedDrift = Finding & {
  severity: 'alarm' | 'warning';
  /** In words: `repair`, `report`, `quarantine when it is 7 days old`. */
  action: string;
  what: string;
  toDo: string;
  /** Since when it is known; null when this look is the first to find it. */
  since: Date | null;
};

export type Plan = { drifts: readonly PlannedDrift[]; blind: readonly string[]; instances: number };

type Planner = Pick<ReconcileEngine, 'database' | 'surveyors' | 'clusterId' | 'onTrouble'> & {
  settings: Omit<ReconcileSettings, 'everyMs'>;
};

/** Looks as a pass does, in transactions that may only read, and says what a pass would do. */
export async function planOf(planner: Planner, wanted: readonly string[]): Promise<Plan> {
  const database = readOnly(planner.database);
  const looker = { ...planner, database, warmShortages: async () => [] };
  const unanswering: Unanswering = new Set();
  const drifts: PlannedDrift[] = [];
  const blind = new Set<string>();
  let instances = 0;
  for (const shard of wanted) {
    const look =
      shard === fleetShard
        ? await lookAtFleet(looker)
        : await lookAtShard(looker, { shard, began: await readClock(database), unanswering });
    instances += look.instances;
    for (const place of look.blind.places) blind.add(place);
    drifts.push(...(await plannedOf(database, { shard, look, settings: planner.settings })));
  }
  return { drifts: drifts.toSorted(bySeverity), blind: [...blind], instances };
}

async function plannedOf(
  database: Queryable,
  { shard, look, settings }: { shard: string; look: Look; settings: Planner['settings'] },
): Promise<PlannedDrift[]> {
  const known = new Map((await listOpenFindings(database, shard)).map((finding) => [keyOf(finding), finding]));
  const old = new Set(
    (await stoodFor(database, look.findings, { days: settings.orphanQuarantineDays })).map((one) => keyOf(one)),
  );
  const movable = new Set(
    look.orphans.filter(({ orphan }) => orphan.quarantine !== undefined).map(({ finding }) => keyOf(finding)),
  );
  const rightAtOnce = new Set(
    look.contradictions.flatMap(({ instanceId, becomes }) => (becomes === undefined ? [] : [instanceId])),
  );
  return look.findings.map((finding) => {
    const key = keyOf(finding);
    const { severity = 'warning', what = '', toDo = '' } = ruleOf(finding.kind) ?? {};
    const options = { settings, isOld: old.has(key), isMovable: movable.has(key), known: known.get(key) };
    const isRightAtOnce = finding.kind === 'unsettled' && rightAtOnce.has(finding.subject);
    return {
      ...finding,
      severity,
      what,
      toDo,
      since: known.get(key)?.firstSeen ?? null,
      action: isRightAtOnce ? 'put the status right' : actionOf(finding, options),
    };
  });
}

function actionOf(
  finding: Finding,
  options: { settings: Planner['settings']; isOld: boolean; isMovable: boolean; known: OpenFinding | undefined },
): string {
  const { settings, isOld, isMovable, known } = options;
  if (finding.kind === 'server-count-wrong') return 'put the count right';
  if (finding.kind === 'purge-due') return settings.purgesAfterWindow ? 'ask for a purge' : 'report';
  if (repairedKinds.includes(finding.kind)) {
    const before = known?.repairs ?? 0;
    return before === 0 ? 'ask for a repair' : `ask for a repair (${before} before)`;
  }
  if (ruleOf(finding.kind)?.policy !== 'quarantine' || !isMovable) return 'report';
  return isOld ? 'quarantine' : `report; quarantine after ${settings.orphanQuarantineDays} days`;
}

function bySeverity(one: PlannedDrift, other: PlannedDrift): number {
  const rank = ({ severity, kind, subject }: PlannedDrift) => `${severity === 'alarm' ? 0 : 1} ${kind} ${subject}`;
  return rank(one) < rank(other) ? -1 : 1;
}

async function readClock(database: Queryable): Promise<Date> {
  const { rows } = await database.query<{ now: Date }>('select clock_timestamp() as now');
  return rows[0]?.now ?? new Date();
}

/** Every statement in a transaction that PostgreSQL lets read only. */
function readOnly(database: Database): Database {
  const transaction: Database['transaction'] = (work, options) =>
    database.transaction(async (inner) => {
      await inner.query('set transaction read only');
      return await work(inner);
    }, options);
  return {
    ...database,
    transaction,
    query: (text, values) => transaction((inner) => inner.query(text, values)),
  };
}
