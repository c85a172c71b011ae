import type { FieldValidation } from './bodies.ts';
import type { DeleteOptions } from './deletion.ts';
import type { Json, JsonObject } from './json.ts';
import { arrayAt, objectAt, stringAt } from './json.ts';
import type { Cause, StatusError } from './status.ts';
import { invalid, notSupported } from './status.ts';
import type { WriteOptions } from './writes.ts';

export type OptionsKind = 'CreateOptions' | 'UpdateOptions' | 'PatchOptions' | 'DeleteOptions' | 'ListOptions';

/** Refuses query parameters that would be ignored. */
export function allowParameters(query: URLSearchParams, parameters: readonly string[]): void {
  const unknown = [...query.keys()].find((name) => !parameters.includes(name));
  if (unknown !== undefined) throw notSupported(`the query parameter ${unknown} here`);
}

export function writeOptionsOf(kind: OptionsKind, query: URLSearchParams, userAgent: string): WriteOptions {
  const manager = query.get('fieldManager') || userAgent.split('/')[0] || 'unknown';
  const validation = query.get('fieldValidation') || 'Warn';
  if (!isFieldValidation(validation))
    throw unsupported(kind, 'fieldValidation', { value: validation, known: ['Ignore', 'Strict', 'Warn'] });
  return { manager, isDryRun: isDryRun(kind, query.getAll('dryRun')), validation };
}

function isFieldValidation(text: string): text is FieldValidation {
  return text === 'Ignore' || text === 'Warn' || text === 'Strict';
}

function isDryRun(kind: OptionsKind, asked: Json[]): boolean {
  if (asked.some((value) => value !== 'All')) throw unsupported(kind, 'dryRun', { value: asked, known: ['All'] });
  return asked.length > 0;
}

/** Reads `DeleteOptions` from the body, and from the query when there is no body. */
export function deleteOptionsOf(body: JsonObject, query: URLSearchParams): DeleteOptions {
  const kind = 'DeleteOptions';
  const propagation = stringAt(body, 'propagationPolicy') ?? query.get('propagationPolicy') ?? undefined;
  if (propagation !== undefined && !isPropagation(propagation)) {
    throw unsupported(kind, 'propagationPolicy', {
      value: propagation,
      known: ['Foreground', 'Background', 'Orphan', 'nil'],
    });
  }
  const grace = body['gracePeriodSeconds'] ?? query.get('gracePeriodSeconds');
  const preconditions = objectAt(body, 'preconditions');
  return {
    propagation,
    gracePeriodSeconds: grace === null || grace === undefined ? undefined : Number(grace),
    uid: stringAt(preconditions, 'uid'),
    resourceVersion: stringAt(preconditions, 'resourceVersion'),
    isDryRun: isDryRun(kind, [...arrayAt(body, 'dryRun'), ...query.getAll('dryRun')]),
  };
}

function isPropagation(text: string): text is 'Background' | 'Foreground' | 'Orphan' {
  return text === 'Background' || text === 'Foreground' || text === 'Orphan';
}

function unsupported(
  kind: OptionsKind,
  field: string,
  { value, known }: { value: Json; known: string[] },
): StatusError {
  const list = known.map((it) => JSON.stringify(it)).join(', ');
  const message = `Unsupported value: ${JSON.stringify(value)}: supported values: ${list}`;
  return optionsInvalid(kind, { reason: 'FieldValueNotSupported', message, field });
}

export function optionsInvalid(kind: OptionsKind, cause: Cause): StatusError {
  const names = { group: 'meta.k8s.io', version: 'v1', plural: kind.toLowerCase(), kind };
  return invalid({ ...names, isNamespaced: false, hasStatus: false, hasGeneration: false, fieldSelectors: [] }, '', [
    cause,
  ]);
}
