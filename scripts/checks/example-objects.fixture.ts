import type { Json } from '#shared/sandbox/kubernetes/json.ts';
import { type Operation, patchJson } from './json-patch.ts';
import type { Manifest } from './kustomize.ts';
import {
  exampleInstances,
  initialisationJob,
  jobObjectsOf,
  objectsOf,
  templateJob,
  workerObjectsOf,
} from './tenant-objects.fixture.ts';

export const { small, large, suspended } = exampleInstances();
/** A stranger to the objects below. */
export const other = exampleInstances().small;
/** What functions write, all of it allowed. */
export const objects = {
  'a small instance': objectsOf(small),
  'a large instance': objectsOf(large),
  'a suspended instance': objectsOf(suspended),
  'a Job of an instance': jobObjectsOf(initialisationJob(small)),
  'a Job that backs an instance up': workerObjectsOf(small, 'backup'),
  'a Job that verifies a backup': workerObjectsOf(small, 'verify'),
  'a Job that loads a backup': workerObjectsOf(small, 'load'),
  'a Job that makes a copy neutral': workerObjectsOf(small, 'neutralize'),
  'a Job that exchanges folders': workerObjectsOf(small, 'swap'),
  'a Job that removes an old side': workerObjectsOf(small, 'tidy'),
  'a Job of a template': jobObjectsOf(templateJob(small)),
};

/** @throws Error where the list has no such object. */
export function objectOf(kind: string, what: keyof typeof objects = 'a small instance'): Manifest {
  const found = objects[what].find((object) => object.kind === kind);
  if (found === undefined) throw new Error(`${what} has no ${kind}`);
  return found;
}

/** The object as JSON Patch leaves it, a copy. */
export function changed(object: Manifest, operations: readonly Operation[]): Manifest {
  return patchJson(object as unknown as Json, operations, 'temptation') as unknown as Manifest;
}

export function added(path: string, value: unknown): Operation {
  return { op: 'add', path, value };
}

export function replaced(path: string, value: unknown): Operation {
  return { op: 'replace', path, value };
}
