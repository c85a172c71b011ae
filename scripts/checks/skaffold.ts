import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { parse, parseAllDocuments } from 'yaml';
import { functionNames } from '../build/build.ts';
import { type SkaffoldFacts, skaffoldMistakes, skaffoldSchema } from './skaffold-rules.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** What skaffold.yaml is held against: the folders, the Dockerfile and the manifests as they are written. */
export async function readSkaffoldFacts(): Promise<SkaffoldFacts> {
  const files = (await readdir(join(root, 'knative'), { recursive: true })).filter((name) => name.endsWith('.yaml'));
  const manifestImages = new Set<string>();
  const customKinds = new Set<string>();
  for (const file of files) {
    for (const document of parseAllDocuments(await readFile(join(root, 'knative', file), 'utf8'))) {
      const { apiVersion = '', kind = '' } = (document.toJS() ?? {}) as { apiVersion?: string; kind?: string };
      const group = apiVersion.split('/')[0] ?? '';
      if (group.endsWith('.knative.dev')) customKinds.add(`${kind}.${group}`);
      for (const [, image] of String(document).matchAll(/^\s+image: (\S+)$/gm)) manifestImages.add(image ?? '');
    }
  }
  const dockerfile = await readFile(join(root, 'Dockerfile'), 'utf8');
  return {
    functions: await functionNames(),
    manifestImages,
    customKinds,
    targets: new Set([...dockerfile.matchAll(/^FROM \S+ AS (\S+)$/gm)].map(([, stage]) => stage ?? '')),
    overlays: new Set(
      files.filter((name) => name.endsWith('/kustomization.yaml')).map((name) => `knative/${dirname(name)}`),
    ),
  };
}

/** What is wrong with the text of a skaffold.yaml. */
export function checkSkaffold(text: string, facts: SkaffoldFacts): string[] {
  const found = v.safeParse(skaffoldSchema, parse(text));
  if (found.success) return skaffoldMistakes(found.output, facts);
  return found.issues.map((issue) => `${v.getDotPath(issue) ?? 'the file'}: ${issue.message}`);
}

if (import.meta.main) {
  const mistakes = checkSkaffold(await readFile(join(root, 'skaffold.yaml'), 'utf8'), await readSkaffoldFacts());
  for (const mistake of mistakes) console.error(`skaffold.yaml: ${mistake}`);
  process.exitCode = mistakes.length === 0 ? 0 : 1;
}
