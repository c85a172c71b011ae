import { readdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { parse, stringify } from 'yaml';
import { buildManifests } from '#scripts/checks/kustomize.ts';
import { grafanaModel } from './dashboard-model.ts';
import { dashboards } from './dashboards-of-the-fleet.ts';
import { knownMetrics } from './known-metrics.ts';
import { conventionMistakes, type Expression, nameMistakes, textMistakes } from './name-mistakes.ts';
import { monitorTargets, plainTargets, scrapeMistakes } from './scrape.ts';

// Writes what is generated in knative/observability: the dashboards, and the operator's form of the alert rules. With
// `--check` it says what is out of date. Either way it looks whether all of it names only metrics that there are, and whether
// each function of the base is scraped.

const knative = fileURLToPath(new URL('../../knative/', import.meta.url));
const folder = `${knative}observability/`;

const ruleFile = v.object({
  groups: v.array(
    v.object({
      name: v.string(),
      rules: v.array(
        v.object({
          alert: v.pipe(v.string(), v.regex(/^OdooFleet[A-Za-z]+$/, 'names begin with OdooFleet')),
          expr: v.string(),
          for: v.optional(v.string()),
          labels: v.object({ severity: v.picklist(['page', 'ticket']) }),
          annotations: v.object({ summary: v.string(), description: v.string(), runbook: v.string() }),
        }),
      ),
    }),
  ),
});
type RuleFile = v.InferOutput<typeof ruleFile>;

const readRules = async (): Promise<RuleFile> =>
  v.parse(ruleFile, parse(await readFile(`${folder}alerts.yaml`, 'utf8')));

function prometheusRule(rules: RuleFile): string {
  const labels = { 'app.kubernetes.io/part-of': 'odoo-fleet' };
  const resource = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name: 'odoo-fleet', namespace: 'odoo-fleet', labels },
    spec: rules,
  };
  return `# Written by \`node scripts/observability/dashboards.ts\` from alerts.yaml: change that, not this.\n${stringify(resource, { lineWidth: 0 })}`;
}

/** Every generated file and what it should hold. */
function generated(rules: RuleFile): Map<string, string> {
  return new Map([
    ['prometheus-rule.yaml', prometheusRule(rules)],
    ...Object.entries(dashboards).map(
      ([name, dashboard]) =>
        [`dashboards/${name}.json`, `${JSON.stringify(grafanaModel(dashboard), null, 2)}\n`] as const,
    ),
  ]);
}

function expressionsOf(rules: RuleFile): Expression[] {
  const alerts = rules.groups.flatMap((group) => group.rules);
  const panels = Object.entries(dashboards).flatMap(([name, { rows }]) =>
    rows.flatMap((row) => row.panels).map((panel) => ({ at: `dashboard ${name}, "${panel.title}"`, panel })),
  );
  return [
    ...alerts.map(({ alert, expr }) => ({ at: `alert ${alert}`, text: expr })),
    ...panels.flatMap(({ at, panel }) => panel.queries.map(({ expr }) => ({ at, text: expr }))),
  ];
}

/** Files that are missing, differ, or that nothing generates any more. */
async function outOfDate(files: ReadonlyMap<string, string>): Promise<string[]> {
  const present = (await readdir(`${folder}dashboards`)).map((name) => `dashboards/${name}`);
  const stale = present.filter((name) => !files.has(name)).map((name) => `${name} belongs to no dashboard: delete it.`);
  for (const [name, text] of files) {
    const found = await readFile(`${folder}${name}`, 'utf8').catch(() => undefined);
    if (found !== text) stale.push(`${name} is out of date: run node scripts/observability/dashboards.ts`);
  }
  return stale;
}

/** The manifests by the operator, and the plain configuration, against the pods of the base. */
async function scrapingMistakes(): Promise<string[]> {
  const watching = await buildManifests(folder);
  const watched = await buildManifests(`${knative}base`);
  const byOperator = monitorTargets(watching, watched).toSorted();
  const plain = plainTargets(parse(await readFile(`${folder}prometheus.yaml`, 'utf8')), watched).toSorted();
  const differ = byOperator
    .filter((one) => !plain.includes(one))
    .concat(plain.filter((one) => !byOperator.includes(one)));
  return [
    ...scrapeMistakes(watching, watched),
    ...differ.map((target) => `Only one of prometheus.yaml and pod-monitor.yaml scrapes ${target}.`),
  ];
}

const isCheck = process.argv.includes('--check');
const rules = await readRules();
const files = generated(rules);
if (!isCheck) for (const [name, text] of files) await writeFile(`${folder}${name}`, text);
const known = knownMetrics();
const mistakes = [
  ...(await outOfDate(files)),
  ...conventionMistakes(known),
  ...nameMistakes(expressionsOf(rules), known),
  ...rules.groups.flatMap((group) => group.rules).flatMap(textMistakes),
  ...(await scrapingMistakes()),
];
for (const mistake of mistakes) console.error(mistake);
if (mistakes.length > 0) process.exitCode = 1;
