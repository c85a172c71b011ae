import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it } from 'vitest';
import { checkSkaffold, readSkaffoldFacts } from './skaffold.ts';
import type { SkaffoldFacts } from './skaffold-rules.ts';

let whole: string;
let facts: SkaffoldFacts;

beforeAll(async () => {
  whole = await readFile(fileURLToPath(new URL('../../skaffold.yaml', import.meta.url)), 'utf8');
  facts = await readSkaffoldFacts();
});

/** The mistakes of our own file after a change that has to hit. */
function after(from: string | RegExp, to: string): string[] {
  const changed = whole.replace(from, to);
  expect(changed).not.toBe(whole);
  return checkSkaffold(changed, facts);
}

it('finds nothing wrong with our own file', () => {
  expect(checkSkaffold(whole, facts)).toEqual([]);
});

it.each([
  ['a misspelt field', 'useBuildkit', 'useBuildKit', /useBuildKit/],
  ['an older schema', 'skaffold/v4beta13', 'skaffold/v4beta12', /v4beta13 or a later/],
  [
    'a function without an artifact',
    'image: odoo-fleet/stop',
    'image: odoo-fleet/stopp',
    /No artifact odoo-fleet\/stop for/,
  ],
  ['an image that no manifest names', 'image: odoo-fleet/stop', 'image: odoo-fleet/stopp', /no manifest under knative/],
  ['an image of another function', 'FUNCTION: stop ', 'FUNCTION: start ', /built with FUNCTION start/],
  ['a stage that is not there', 'target: migrate', 'target: migration', /no stage migration/],
  ['an overlay that is not there', 'overlays/prod', 'overlays/production', /production has no kustomization/],
  ['a kind that skaffold does not know', /.*groupKind: PingSource.*\n/, '', /does not allow PingSource/],
  ['a kind that nobody uses', 'groupKind: PingSource', 'groupKind: ContainerSource', /which no manifest has/],
  ['no wait for the Knative Services', 'wait, ksvc', 'get, ksvc', /does not wait/],
  ['a patch that hits nothing', 'artifacts/3/docker/target', 'artifacts/33/docker/target', /where nothing is/],
  [
    'a function whose sources are not run in dev',
    /.*artifacts\/3\/docker\/target.*\n/,
    '',
    /does not build odoo-fleet\/[a-z-]+ for the target dev/,
  ],
  [
    'a base image that is not pinned in prod',
    /.*artifacts\/3\/docker\/buildArgs.*\n/,
    '',
    /give odoo-fleet\/[a-z-]+ its BASE/,
  ],
  ['a profile that is missing', 'name: kind', 'name: kinds', /No profile kind\./],
])('refuses %s', (_, from, to, mistake) => {
  expect(after(from, to).join('\n')).toMatch(mistake);
});
