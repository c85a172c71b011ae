import { Failure } from '#shared/domain/failure.ts';
import { type Call, type Definition, type Result, textOf } from './command.ts';
import { fitted } from './fit.ts';
import { listed, listOptions, timeCell } from './listing.ts';
import { asked, reasonOption, watchOptions } from './operations.ts';

type Finding = {
  kind: string;
  subject: string;
  place: string;
  severity: string;
  detail: string;
  what: string;
  toDo: string;
  intent: string;
  notBefore: string | null;
  lookedAt: string | null;
};

type Plan = {
  instanceId: string;
  intent: string;
  notBefore: string | null;
  operationId: string | null;
  lookedAt: string | null;
  nextLookAt: string | null;
  blind: string[];
  findings: Finding[];
};

export const reconcile: Definition = {
  usage: 'reconcile [instance]',
  says: 'makes the world of an instance what the records want; with --plan it only says what would be done',
  example: 'reconcile k3n5q2x7a4bc --plan',
  options: [
    ['--plan', 'what is amiss by the last look, and what the next passes do; of the whole fleet unless one is named'],
    ['--severity <severity>', 'with --plan of the fleet: alarm or warning'],
    ['--kind <kinds>', 'with --plan of the fleet: such as service-missing; several with commas'],
    ...listOptions,
    reasonOption,
    ...watchOptions,
  ],
  async run(call) {
    const [instance] = call.operands;
    const isPlan = call.options['plan'] === true;
    mustGoTogether(call, isPlan, instance);
    if (instance === undefined) return await planOfFleet(call);
    const path = `/v1/instances/${encodeURIComponent(instance)}`;
    if (!isPlan) return await asked(call, `${path}/repair`, {});
    const plan = (await call.api().get(`${path}/plan`)) as Plan;
    return { json: plan, lines: linesOf(plan, call.screen.columns) };
  },
};

/** Not heeding an option would do something else than was meant. */
function mustGoTogether({ options }: Call, isPlan: boolean, instance: string | undefined): void {
  if (instance === undefined && !isPlan) {
    const text = 'Name the instance, or say --plan. The fleet is reconciled by itself, a part of it at each tick.';
    throw new Failure('misconfigured', text);
  }
  const ofFleet = ['severity', 'kind', 'limit', 'all'];
  const ofRepair = ['reason', 'watch', 'waitSeconds'];
  const strange = [...(isPlan ? ofRepair : ofFleet), ...(instance === undefined ? [] : ofFleet)].find(
    (name) => options[name] !== undefined,
  );
  if (strange === undefined) return;
  const named = strange === 'waitSeconds' ? 'wait-seconds' : strange;
  throw new Failure('misconfigured', `--${named} does not go with ${isPlan ? '--plan' : 'a repair'} of this.`);
}

const heads = ['SUBJECT', 'SEVERITY', 'KIND', 'PLACE', 'WHAT IS DONE', 'DETAIL'];
const cellsOf = (one: Finding) => [one.subject, one.severity, one.kind, one.place, doneAbout(one), one.detail];

async function planOfFleet(call: Call): Promise<Result> {
  const shown = await listed<Finding>(call, '/v1/findings', {
    query: ['severity', 'kind'],
    heads: [...heads, 'LOOKED AT'],
    cells: (one) => [...cellsOf(one), timeCell(one.lookedAt)],
    none: textOf(call.options, 'kind') === undefined ? 'Nothing has drifted.' : 'Nothing of that kind has drifted.',
  });
  return shown;
}

function linesOf(plan: Plan, columns: number | undefined): string[] {
  const { instanceId, findings, blind, lookedAt, nextLookAt } = plan;
  const table = findings.length === 0 ? [] : fitted([heads, ...findings.map(cellsOf)], columns);
  const toDo = findings
    .filter(({ intent }) => intent === 'report')
    .map(({ kind, what, toDo: text }) => `  ${kind}: ${what} ${text}`);
  return [
    `${instanceId}: ${said(plan)}`,
    `Last look: ${lookedAt === null ? 'none yet' : timeCell(lookedAt)}. Next look: ${timeCell(nextLookAt)}.`,
    ...blind.map((place) => `What is known of ${place} is old: the last look could not read it.`),
    ...(table.length === 0 ? [] : ['', ...table]),
    ...(toDo.length === 0 ? [] : ['', 'What a person does:', ...new Set(toDo)]),
  ];
}

function said({ instanceId, intent, notBefore, operationId }: Plan): string {
  const now = `Now: fleet reconcile ${instanceId}`;
  if (intent === 'none') return 'nothing is amiss.';
  if (intent === 'repair')
    return `a repair is asked for ${notBefore === null ? 'next' : `at ${timeCell(notBefore)}`}. ${now}`;
  if (intent === 'wait') return `its operation has to end first: fleet operations watch ${operationId}`;
  return intent === 'blocked' ? 'a repair would fail until a person has acted.' : 'a person has to act.';
}

/** In words, with when. */
function doneAbout({ intent, notBefore }: Finding): string {
  if (intent === 'repair') return notBefore === null ? 'repair' : `repair from ${timeCell(notBefore)}`;
  return intent === 'correct' ? 'put right' : intent;
}
