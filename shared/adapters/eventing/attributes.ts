import { Failure } from '#shared/domain/failure.ts';

/** Context attributes by name, all as text. */
export type Attributes = Record<string, string>;

/** Attributes that CloudEvents defines and that are no extensions. */
const coreNames = new Set(['specversion', 'id', 'source', 'type', 'subject', 'time', 'dataschema', 'datacontenttype']);
const requiredNames = ['id', 'source', 'type'] as const;

// CloudEvents asks for names of at most 20 characters. Node ends a request whose headers are larger than 16 KiB, and
// what is accepted here must be small enough to be sent on with a broker's own additions.
const maxNameLength = 20;
const maxTotalLength = 8 * 1024;
const maxExtensions = 40;
const maxLengths: Readonly<Record<string, number>> = { id: 256, source: 512, type: 256, subject: 512, time: 64 };
// Knative's dead letters carry up to 1,024 bytes of an answer in base64.
const maxExtensionLength = 2_048;

const controlCharacter = /[\u0000-\u001f\u007f-\u009f\ud800-\udfff\ufffe\uffff]/;
const printableAscii = /^[\x20-\x7e]*$/;
const dateTime =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d{1,9})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/**
 * Without `Object.prototype`, so that a name such as `__proto__` is a name like any other until it is refused. Made by a
 * constructor and not by `Object.create(null)`, whose objects V8 keeps as hash tables: going through one takes a multiple.
 */
export function noAttributes(): Attributes {
  return new Bare();
}
const Bare = function () {} as unknown as new () => Attributes;
Bare.prototype = Object.create(null);

/** A refusal that names the attribute it is about. */
export function refusedAttribute(name: string, complaint: string): Failure {
  return new Failure('invalid-event', `Attribute ${name} ${complaint}.`, { facts: { attribute: name } });
}

/**
 * Checks what the `cloudevents` SDK lets through: other spec versions, missing ids (it makes one up), wrong times (it
 * takes the present), long or odd names and values.
 * @throws Failure `invalid-event` that names the attribute.
 */
export function checkAttributes(attributes: Attributes): void {
  checkVersion(attributes['specversion']);
  for (const name of requiredNames) {
    if (attributes[name] === undefined) throw refusedAttribute(name, 'is missing');
  }
  let total = 0;
  let extensions = 0;
  for (const name in attributes) {
    const value = attributes[name] ?? '';
    if (!coreNames.has(name)) {
      checkExtensionName(name);
      extensions += 1;
    }
    checkValue(name, value);
    total += name.length + value.length;
  }
  if (extensions > maxExtensions) throw tooMuch(`has ${extensions} extension attributes; at most ${maxExtensions}`);
  if (total > maxTotalLength) throw tooMuch(`has ${total} characters of attributes; at most ${maxTotalLength}`);
  const time = attributes['time'];
  if (time !== undefined && !isDateTime(time)) throw refusedAttribute('time', 'is not an RFC 3339 date and time');
}

/** The extension attributes among all. */
export function extensionsOf(attributes: Attributes): Record<string, string> {
  const extensions: Record<string, string> = {};
  for (const name in attributes) {
    if (!coreNames.has(name)) extensions[name] = attributes[name] ?? '';
  }
  return extensions;
}

/** RFC 3339, with days that exist and leap seconds. */
export function isDateTime(text: string): boolean {
  if (!dateTime.test(text)) return false;
  const day = Number(text.slice(8, 10));
  // day 0 of the next month is the last of this one
  return day <= 28 || day <= new Date(Date.UTC(Number(text.slice(0, 4)), Number(text.slice(5, 7)), 0)).getUTCDate();
}

function checkVersion(version: string | undefined): void {
  if (version === undefined) throw refusedAttribute('specversion', 'is missing: this is no CloudEvent');
  if (version !== '1.0') throw refusedAttribute('specversion', `is ${shown(version)}; only 1.0 is understood`);
}

function checkExtensionName(name: string): void {
  if (name === 'data' || name === 'data_base64') throw refusedAttribute(name, 'is not an attribute; data is the body');
  if (!/^[a-z0-9]+$/.test(name)) {
    throw refusedAttribute(shown(name), 'has a name that is not lower-case letters and digits');
  }
  if (name.length > maxNameLength) throw refusedAttribute(name.slice(0, 60), 'has a name of more than 20 characters');
}

function checkValue(name: string, value: string): void {
  if (value === '') throw refusedAttribute(name, 'is empty');
  const maxLength = maxLengths[name] ?? maxExtensionLength;
  if (value.length > maxLength) throw refusedAttribute(name, `is longer than ${maxLength} characters`);
  if (printableAscii.test(value)) return;
  if (controlCharacter.test(value.replace(/[\ud800-\udbff][\udc00-\udfff]/g, ''))) {
    throw refusedAttribute(name, 'holds control characters or is not valid Unicode');
  }
}

function tooMuch(what: string): Failure {
  return new Failure('invalid-event', `The event ${what} are accepted.`, { facts: { attribute: 'extensions' } });
}

/** Part of what was sent, for messages: short and printable. */
export function shown(value: string): string {
  return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
}
