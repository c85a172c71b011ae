import type { Json } from './json.ts';
import { isObject } from './json.ts';
import type { Cause } from './status.ts';

export const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
export const label1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
export const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

export const subdomainMessage =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
export const labelMessage =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
export const label1035Message =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

export function invalidValue(field: string, value: Json, why: string): Cause {
  const shown =
    typeof value === 'string' || isObject(value) || Array.isArray(value) ? JSON.stringify(value) : String(value);
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${shown}: ${why}`, field };
}

export function requiredValue(field: string, why = ''): Cause {
  return { reason: 'FieldValueRequired', message: `Required value${why === '' ? '' : `: ${why}`}`, field };
}

export function forbiddenValue(field: string, why: string): Cause {
  return { reason: 'FieldValueForbidden', message: `Forbidden: ${why}`, field };
}

export function patternProblems(
  field: string,
  value: string,
  { pattern, message, limit }: { pattern: RegExp; message: string; limit: number },
): Cause[] {
  const causes: Cause[] = [];
  if (value.length > limit)
    causes.push(invalidValue(field, value, `must be no more than ${limit} ${limit === 253 ? 'characters' : 'bytes'}`));
  if (!pattern.test(value)) causes.push(invalidValue(field, value, message));
  return causes;
}
