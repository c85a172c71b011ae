import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { parse } from 'yaml';
import { type Component, componentSchema, servicePatchSchema } from './component-rules.ts';

const configMap = v.object({
  kind: v.literal('ConfigMap'),
  metadata: v.object({ name: v.literal('odoo-fleet') }),
  data: v.record(v.string(), v.string()),
});

/** Reads the components below a folder. @throws where one has another shape than ours have. */
export async function readComponents(folder: string): Promise<Component[]> {
  return await Promise.all((await readdir(folder)).sort().map((name) => readComponent(join(folder, name), name)));
}

async function readComponent(folder: string, name: string): Promise<Component> {
  const read = async (file: string): Promise<unknown> => parse(await readFile(join(folder, file), 'utf8'));
  const files = (await readdir(folder)).filter((file) => file !== 'kustomization.yaml');
  const kustomization = v.parse(componentSchema, await read('kustomization.yaml'));
  const servicePatches: Record<string, Component['servicePatches'][string]> = {};
  const settings: string[] = [];
  for (const { path, target } of kustomization.patches.filter((patch) => files.includes(patch.path))) {
    if (target === undefined) settings.push(...Object.keys(v.parse(configMap, await read(path)).data));
    else servicePatches[path] = v.parse(servicePatchSchema, await read(path));
  }
  return { name, kustomization, files, servicePatches, settings };
}
